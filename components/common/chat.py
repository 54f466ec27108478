"""From a question about a picture to tensors: the model's own chat template, answers aligned on the right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from components.common.prompts import prompt_for, target_for
from components.common.records import Record, open_picture

IGNORED = -100
"""Marks the positions of an answer tensor that hold no answer token."""


@dataclass(frozen=True)
class Sample:
    """What the model is shown and what it should answer; ``picture`` is a key of the pictures, "" for none."""

    record_id: str
    prompt: str
    answer: str
    picture: str


def sample_of(record: Record, picture: str | None = None) -> Sample:
    """Return the sample of a record, shown ``picture`` or else its first one."""
    shown = picture if picture is not None else next(iter(record.images), "")
    return Sample(record.id, prompt_for(record), target_for(record), shown)


@dataclass
class Batch:
    """B samples, padded on the left so that all answers end in the last column.

    ``inputs``: arguments of the model: ``input_ids``, ``attention_mask``, ``position_ids`` [B, S] and
    ``pixel_values`` of those samples that have a picture, in order. ``answers`` [B, N]: token ids of the answers,
    end token included, ``IGNORED`` to the left of shorter ones; N is the length of the longest.
    ``samples``: the B samples.
    """

    inputs: dict[str, torch.Tensor]
    answers: torch.Tensor
    samples: Sequence[Sample]

    @property
    def mask(self) -> torch.Tensor:
        """Return which positions hold an answer token, bool [B, N]."""
        return self.answers != IGNORED


class Encoder:
    """Turns samples into batches for one model; remembers what it has tokenised and what it has decoded."""

    def __init__(self, processor: Any, pictures: dict[str, bytes], device: torch.device) -> None:
        """Keep the model's processor and the encoded pictures by hash."""
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.pictures = dict(pictures)
        self.device = device
        self._pixels: dict[str, torch.Tensor] = {}
        self._ids: dict[tuple[str, str, bool], tuple[list[int], int]] = {}

    @cached_property
    def image_tokens(self) -> str:
        """The text that a picture becomes in the prompt: the image token, once for each feature vector."""
        token = self.processor.image_token
        blank = Image.new("RGB", (8, 8))
        ids = self.processor(text=token, images=[blank])["input_ids"][0]
        return token * list(ids).count(self.tokenizer.convert_tokens_to_ids(token))

    def prompt_text(self, prompt: str, with_picture: bool) -> str:
        """Return the prompt in the model's chat template, up to where the answer starts."""
        content: list[dict[str, str]] = [{"type": "image"}] if with_picture else []
        content.append({"type": "text", "text": prompt})
        message = [{"role": "user", "content": content}]
        return str(self.processor.apply_chat_template(message, add_generation_prompt=True)).rstrip()

    def ids(self, prompt: str, answer: str, with_picture: bool) -> tuple[list[int], int]:
        """Return the token ids of prompt and answer, and how many of them are the answer's, end token included."""
        key = (prompt, answer, with_picture)
        if key not in self._ids:
            text = self.prompt_text(prompt, with_picture)
            if with_picture:
                text = text.replace(self.processor.image_token, self.image_tokens, 1)
            full = self.tokenizer(f"{text} {answer}{self.tokenizer.eos_token}", return_offsets_mapping=True)
            starts = sum(end <= len(text) for _, end in full["offset_mapping"])
            self._ids[key] = (full["input_ids"], len(full["input_ids"]) - starts)
        return self._ids[key]

    def pixels(self, picture: str) -> torch.Tensor:
        """Return the pixel values [3, H, W] of a picture, as the model's image processor makes them."""
        if picture not in self._pixels:
            image = open_picture(self.pictures[picture])
            values = self.processor.image_processor(images=image, return_tensors="pt")["pixel_values"][0]
            self._pixels[picture] = torch.as_tensor(values)
        return self._pixels[picture]

    def batch(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples with their answers."""
        encoded = [self.ids(s.prompt, s.answer, bool(s.picture)) for s in samples]
        longest = max(count for _, count in encoded)
        answers = torch.full((len(samples), longest), IGNORED)
        for row, (ids, count) in enumerate(encoded):
            answers[row, longest - count :] = torch.tensor(ids[-count:])
        return Batch(self._inputs([ids for ids, _ in encoded], samples), answers.to(self.device), samples)

    def prompts(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """Encode samples without their answers, for generation."""
        encoded = [self.ids(s.prompt, s.answer, bool(s.picture)) for s in samples]
        inputs = self._inputs([ids[:-count] for ids, count in encoded], samples)
        inputs.pop("position_ids")
        return inputs

    def _inputs(self, rows: list[list[int]], samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, width - len(tokens) :] = torch.tensor(tokens)
            mask[row, width - len(tokens) :] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
        shown = [self.pixels(s.picture) for s in samples if s.picture]
        if shown:
            inputs["pixel_values"] = torch.stack(shown)
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Return the logits [B, N, V] that predict the answers' tokens; nothing is computed for other positions."""
    keep = batch.answers.shape[1] + 1
    logits: torch.Tensor = model(**batch.inputs, use_cache=False, logits_to_keep=keep).logits
    return logits[:, :-1]
