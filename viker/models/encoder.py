"""Samples as tensors: the model's own processor and chat template, answers aligned on the right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import PaliGemmaProcessor

from viker.data.records import open_picture
from viker.data.samples import Sample
from viker.models.chat_template import ChatTemplate
from viker.models.control_tokens import Piece, PromptTokenizer

IGNORED = -100
"""Marks the positions of an answer tensor that hold no answer token."""


@dataclass
class Batch:
    """B samples, padded on the left so that all answers end in the last column, or on the right.

    ``inputs``: arguments of the model: ``input_ids`` and ``attention_mask`` [B, S]; ``position_ids`` [B, S] or token
    types [B, S], by family; what the image processor makes of those samples' pictures, in order (``pixel_values``,
    with ``image_grid_thw``, ``image_sizes`` or ``pixel_attention_mask``). Padded on the right, ``input_ids`` and the
    pictures alone. ``answers`` [B, N]: token ids of the answers, end token included, ``IGNORED`` to the left of shorter
    ones; N is the length of the longest. ``samples``: the B samples. ``predicting`` [B, N]: padded on the right, the
    positions whose logits predict the answers' tokens, 0 where there is none; None: the N before the last position.
    """

    inputs: dict[str, torch.Tensor]
    answers: torch.Tensor
    samples: Sequence[Sample]
    predicting: torch.Tensor | None = None

    def at_answers(self, states: torch.Tensor) -> torch.Tensor:
        """Return of states [B, S, D] those that predict the answers' tokens, [B, N, D]."""
        if self.predicting is None:
            return states[:, -self.answers.shape[1] - 1 : -1]
        return states[torch.arange(len(states), device=states.device)[:, None], self.predicting]

    @property
    def mask(self) -> torch.Tensor:
        """Return which positions hold an answer token, bool [B, N]."""
        return self.answers != IGNORED


@dataclass(frozen=True)
class Picture:
    """One picture, processed: its ``text`` in the prompt, and the model's arguments ``tensors``."""

    text: str
    tensors: dict[str, torch.Tensor]


class Encoder:
    """Turns samples into batches for one model; remembers what it has tokenised and what it has decoded.

    ``right_padded``: whether batches are padded on the right and have no mask, see ``without_mask``.
    """

    def __init__(
        self, processor: Any, pictures: dict[str, bytes], device: torch.device, line_before_reply: bool = False
    ) -> None:
        """Take the model's processor and the pictures by key, as files of PNG, JPEG or the like.

        ``line_before_reply``: whether the reply's role begins on a line of its own, see ``ChatTemplate``.
        """
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.template = ChatTemplate(processor, line_before_reply=line_before_reply)
        self.prompt_tokenizer = PromptTokenizer(processor, self.template.text or "", self.template.roles)
        self.pictures = dict(pictures)
        self.device = device
        self.right_padded = False
        self._processed: dict[str, Picture] = {}
        self._ids: dict[tuple[str, str, str], tuple[list[int], int]] = {}

    def picture(self, key: str) -> Picture:
        """Return a picture as the model's processor encodes it; "" is a blank one of 8 x 8 pixels."""
        if key not in self._processed:
            image = open_picture(self.pictures[key]) if key else Image.new("RGB", (8, 8))
            processed = self.processor(
                text=[self.processor.image_token],
                images=[image],
                images_kwargs={"return_tensors": "pt"},
                return_text_replacement_offsets=True,
            )
            tensors = {name: value for name, value in processed.items() if isinstance(value, torch.Tensor)}
            self._processed[key] = Picture(processed["text_replacement_offsets"][0][0]["replacement"], tensors)
        return self._processed[key]

    def ids(self, prompt: str, answer: str, with_picture: bool) -> tuple[list[int], int]:
        """Return the token ids of prompt and answer, and how many of them are the answer's, end token included.

        The answer's ids don't depend on the picture. Those of the prompt are a blank picture's: the same for all
        pictures in families that scale to one size.
        """
        return self._tokens(prompt, answer, self.picture("").text if with_picture else "")

    def batch(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples with their answers."""
        encoded = [self.encode(sample) for sample in samples]
        longest = max(count for _, count in encoded)
        answers = torch.full((len(samples), longest), IGNORED)
        for row, (ids, count) in enumerate(encoded):
            answers[row, longest - count :] = torch.tensor(ids[-count:])
        inputs, answers = self._inputs(encoded, samples), answers.to(self.device)
        if not self.right_padded:
            return Batch(inputs, answers, samples)
        ends = torch.tensor([len(ids) - 1 for ids, _ in encoded])[:, None]
        predicting = (ends - torch.arange(longest, 0, -1)).clamp(min=0)
        return Batch(inputs, answers, samples, predicting.to(self.device))

    def prompts(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Encode samples for generation: without their answers."""
        encoded = [(ids[:-count], 0) for ids, count in map(self.encode, samples)]
        inputs = self._inputs(encoded, samples)
        inputs.pop("position_ids", None)
        return inputs

    def encode(self, sample: Sample) -> tuple[list[int], int]:
        """Return the token ids of a sample with its answer, and how many of them are the answer's.

        Where the reply has ``begun``, that stands in place of the answer, of which the end token alone is left.
        """
        picture = self.picture(sample.picture).text if sample.picture else ""
        ids, count = self._tokens(sample.prompt, sample.begun or sample.answer, picture)
        return ids, 1 if sample.begun else count

    def answer_ids(self, sample: Sample) -> torch.Tensor:
        """Return the ids of the answer's tokens, end token included, int64 [T]."""
        ids, count = self.encode(sample)
        return torch.tensor(ids[-count:])

    def answer_places(self, sample: Sample) -> list[tuple[int, int]]:
        """Return which characters of a sample's answer each of its tokens covers: from and up to.

        The tokens are those of ``encode``. A place may begin before the answer, with the space that a token has in
        front; the end token's is behind it.
        """
        pieces = self._pieces(sample.prompt, sample.answer, "" if not sample.picture else self.processor.image_token)
        return self.prompt_tokenizer.places(pieces, prompt=3, piece=4)

    def question_places(self, sample: Sample) -> list[tuple[int, int]]:
        """Return which characters of a sample's question each token of ``encode`` covers, from its first to the end."""
        pieces = self._pieces(sample.prompt, sample.answer, "" if not sample.picture else self.processor.image_token)
        return self.prompt_tokenizer.places(pieces, prompt=1, piece=1)

    def _tokens(self, prompt: str, answer: str, picture: str) -> tuple[list[int], int]:
        key = (prompt, answer, picture)
        if key not in self._ids:
            self._ids[key] = self.prompt_tokenizer.encode(self._pieces(prompt, answer, picture), prompt=3)
        return self._ids[key]

    def _pieces(self, prompt: str, answer: str, picture: str) -> list[Piece]:
        """Return the text of question and answer in pieces, each with whether it comes from the data."""
        frame, place = self.template.frame(bool(picture)), self.processor.image_token
        before, after = (part.replace(place, picture) if picture else part for part in (frame.before, frame.after))
        pieces = [(before, False), (frame.question(prompt), True), (after, False)]
        return [*pieces, (frame.lead, False), (answer, True), (frame.end, False)]

    def _inputs(self, encoded: list[tuple[list[int], int]], samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        width = max(len(ids) for ids, _ in encoded)
        pad = self.tokenizer.pad_token_id
        ids = torch.full((len(encoded), width), self.tokenizer.eos_token_id if pad is None else pad)
        mask = torch.zeros_like(ids)
        for row, (tokens, _) in enumerate(encoded):
            start = 0 if self.right_padded else width - len(tokens)
            ids[row, start : start + len(tokens)] = torch.tensor(tokens)
            mask[row, start : start + len(tokens)] = 1
        inputs = {"input_ids": ids}
        if not self.right_padded:
            inputs |= {"attention_mask": mask} | self._places(encoded, ids, mask)
        inputs |= _join([self.picture(s.picture).tensors for s in samples if s.picture])
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}

    def _places(
        self, encoded: list[tuple[list[int], int]], ids: torch.Tensor, mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the positions of the tokens, or their types in families that find the positions by themselves."""
        if isinstance(self.processor, PaliGemmaProcessor):  # 0 sees all of the prompt, 1 what came before it
            types = torch.zeros_like(ids)
            for row, (_, count) in enumerate(encoded):
                types[row, types.shape[1] - count :] = 1
            return {"token_type_ids": types}
        if getattr(self.processor, "return_mm_token_type_ids", False):
            types = torch.tensor(self.processor.create_mm_token_type_ids(ids.tolist())) * mask
            multimodal = "mm_token_type_ids" in self.processor.model_input_names
            return {"mm_token_type_ids" if multimodal else "token_type_ids": types}
        return {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def _join(pictures: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the tensors of all pictures in one, along the first dimension; zeros fill up the smaller ones."""
    joined = {}
    for name in pictures[0] if pictures else ():
        parts = [picture[name] for picture in pictures]
        most = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
        filled = [part.new_zeros(part.shape[0], *most) for part in parts]
        for whole, part in zip(filled, parts, strict=True):
            whole[tuple(map(slice, part.shape))] = part
        joined[name] = torch.cat(filled)
    return joined
