"""One picture, many questions: the prompt up to the end of the picture is computed once and shared by all texts."""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.models.answer_tree import Tail, build_tree
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath, NoFastPath
from viker.models.last_layer import last_layer_at
from viker.models.logits import answer_logits, unwrapped
from viker.models.preallocated_cache import preallocated

# rounding differs by some 1e-6 in float32 and 1e-2 in half precision; another attention or other positions by more
_PATH = {"what": "shared prefix", "otherwise": "the picture is read again for every question"}
TREE = FastPath(**_PATH, step="answers as a tree", float32=1e-4, half=5e-2)
VERIFIED = 3
"""How many texts the tree has that is computed again to be verified; the first one's logits are compared."""
DECODING = FastPath(**_PATH, step="decoding", float32=1e-4, half=5e-2)


@dataclass(frozen=True)
class Prompt:
    """A sample, its picture's row among the prefixes, and the token ids after the picture.

    ``tail`` ends where the reply begins; ``answer`` are the ids of the sample's own answer, its end token last.
    """

    sample: Sample
    row: int
    tail: list[int]
    answer: list[int]


class Prefixes:
    """Keys and values of the prompts up to the ends of P pictures, all of the same length; "" is no picture.

    ``prompts``: one per sample, in order. ``cache``: of P rows and ``length`` tokens, None for no picture.
    """

    def __init__(self, model: Any, encoder: Encoder, samples: Sequence[Sample]) -> None:
        """Read the pictures of ``samples``, which must all take the same number of tokens.

        Raises NoFastPath: the model or its prompts don't allow it.
        """
        need_shareable(model)
        pictures = list(dict.fromkeys(sample.picture for sample in samples))
        splits = [split_at_picture(encoder, model, sample) for sample in samples]
        if len({tuple(before) for before, _ in splits}) > 1:
            raise NoFastPath("the text before the picture differs from sample to sample")
        self.model, self.encoder, self.cache, self.length = model, encoder, None, 0
        self.prompts = [
            Prompt(sample, pictures.index(sample.picture), ids[:-count], ids[-count:])
            for sample, (_, (ids, count)) in zip(samples, splits, strict=True)
        ]
        self._single = len(pictures) == 1
        if pictures != [""]:
            inputs = encoder.prompts([replace(samples[0], picture=picture) for picture in pictures])
            ids = inputs["input_ids"]
            self.length = ids.shape[1] - len(self.prompts[0].tail)
            cut = {name: t[:, : self.length] if t.shape == ids.shape else t for name, t in inputs.items()}
            with last_layer_at(model, torch.tensor([self.length - 1], device=model.device)):
                self.cache = model(**cut, use_cache=True, logits_to_keep=1).past_key_values

    def rows(self, prompts: Sequence[Prompt]) -> Any:
        """Return a cache with a row per prompt, its picture's; None where there is no picture."""
        if self.cache is None:
            return None
        return select(self.cache, torch.tensor([prompt.row for prompt in prompts], device=self.model.device))

    def tree_logits(self, rows: Sequence[Sequence[Prompt]]) -> tuple[Tensor, list[Tensor]]:
        """Return the logits of B trees of texts in one pass, and where the answers' tokens are predicted.

        A row is the prompts of one picture, each token once where their texts begin alike; see ``build_tree``.

        Returns:
            logits [B * U, V] of the U nodes that predict in any row, and for each prompt, row after row, the places
            [T] of its T answer tokens.

        Raises NoFastPath: the model sees no further back than a row is long, or these aren't the plain way's logits.
        """
        logits, answers = self._tree_logits(rows)
        sample, others = rows[0][0].sample, [prompt.sample for prompt in rows[0][1:VERIFIED]]

        def repeat() -> Tensor:
            prefixes = Prefixes(self.model, self.encoder, [sample, *others])
            repeated, places = prefixes._tree_logits([prefixes.prompts])
            return repeated[places[0]]

        plain = partial(_plain_logits, self.model, self.encoder, sample)
        TREE.verify(self.model, logits[answers[0]], plain, repeat)
        return logits, answers

    def _tree_logits(self, rows: Sequence[Sequence[Prompt]]) -> tuple[Tensor, list[Tensor]]:
        """Return ``tree_logits``, not verified."""
        model, length = self.model, self.length
        trees = [build_tree([(p.tail + p.answer, len(p.answer)) for p in row]) for row in rows]
        device, width = model.device, max(len(tree.ids) for tree in trees)
        need_window(model, length + width)
        ids = torch.full((len(rows), width), int(trees[0].ids[0]))
        depths = torch.zeros(len(rows), width, dtype=torch.long)
        sees = torch.eye(width, dtype=torch.bool).repeat(len(rows), 1, 1)  # padding sees itself
        for row, tree in enumerate(trees):
            size = len(tree.ids)
            ids[row, :size], depths[row, :size], sees[row, :size, :size] = tree.ids, tree.depths, tree.sees
        mask = torch.zeros(len(rows), 1, width, length + width, dtype=model.dtype, device=device)
        mask[:, 0, :, length:].masked_fill_(~sees.to(device), torch.finfo(model.dtype).min)
        predicting = torch.cat([tree.predicting for tree in trees]).unique()
        in_place = self._single and len(rows) == 1
        if in_place and self.cache is not None:
            self.cache = preallocated(self.cache, 0)  # a text then writes over the last one's and copies no prefix
        cache = self.cache if in_place else self.rows([row[0] for row in rows])
        with last_layer_at(model, predicting.to(device)):
            inputs = {"input_ids": ids.to(device), "attention_mask": mask, "position_ids": (length + depths).to(device)}
            caching = {"past_key_values": cache, "use_cache": cache is not None}
            logits: Tensor = model(**inputs, **caching, logits_to_keep=predicting.to(device)).logits.flatten(0, 1)
        if in_place and self.cache is not None:
            self.cache.crop(-width)
        answers = [
            (row * len(predicting) + torch.searchsorted(predicting, tree.predicting[answer])).to(device)
            for row, tree in enumerate(trees)
            for answer in tree.answers
        ]
        return logits, answers


def _plain_logits(model: Any, encoder: Encoder, sample: Sample) -> Tensor:
    return answer_logits(model, encoder.batch([sample]))[0]


def split_at_picture(encoder: Encoder, model: Any, sample: Sample) -> tuple[list[int], Tail]:
    """Return a sample's token ids before its picture, and the tail after it; without a picture all is tail."""
    ids, count = encoder.encode(sample)
    image = model.config.image_token_id
    if image not in ids:
        return [], (ids, count)
    end = len(ids) - ids[::-1].index(image)
    return ids[: ids.index(image)], (ids[end:], count)


def select(cache: Any, rows: Tensor) -> Any:
    """Return a cache with the ``rows`` [B] of another, which stays as it is."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]
    chosen.batch_select_indices(rows)
    return chosen


def need_window(model: Any, tokens: int) -> None:
    """Check that a model sees all of so many tokens from each of them.

    Raises NoFastPath: some of its layers look back no further than a window.
    """
    text = model.config.get_text_config()
    slides = "sliding_attention" in (getattr(text, "layer_types", None) or ())
    if slides and tokens >= text.sliding_window:
        raise NoFastPath("this model looks back no further than its window")


def need_shareable(model: Any) -> None:
    """Check what a comparison of logits could miss, or could not be made without.

    Raises:
        NoFastPath: positions follow the picture's rows and columns, the prompt looks ahead to its own end, or the model
            computes the logits of all positions.
    """
    text = model.config.get_text_config()
    if "mrope_section" in (getattr(text, "rope_parameters", None) or {}):
        raise NoFastPath("this model's positions follow the picture's rows and columns")
    if model.config.model_type == "paligemma":
        raise NoFastPath("this model's prompt looks ahead to its own end")
    if "logits_to_keep" not in inspect.signature(unwrapped(model).forward).parameters:
        raise NoFastPath("this model computes the logits of all positions")
