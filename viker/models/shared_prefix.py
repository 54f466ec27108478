"""One picture, many questions: the prompt up to the picture's end is computed once, the rest of all as one tree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from viker.models.chat import Encoder, Sample
from viker.models.last_layer import last_layer_at
from viker.models.preallocated_cache import with_room

Tail = tuple[list[int], int]
"""The token ids of a text after the picture, and how many at their end are the answer's, end token included."""


class NotSharedError(Exception):
    """The model or its prompts don't allow a shared prefix; the message says why."""


@dataclass(frozen=True)
class Tree:
    """Several texts, each token once where they begin alike: N nodes, of which M predict an answer token.

    ``ids``, ``depths`` [N], the depth of a first token is 0; ``sees`` [N, N], bool: whether a node (row) has another
    (column) among its ancestors or is it; ``asked`` [M]: the predicting nodes, ascending; ``answers``: for each text
    the places in ``asked`` [T] that predict its T answer tokens.
    """

    ids: Tensor
    depths: Tensor
    sees: Tensor
    asked: Tensor
    answers: list[Tensor]


def build_tree(tails: Sequence[Tail]) -> Tree:
    """Return the tree of ``tails``; the last token of each predicts nothing and is left out.

    Raises:
        NotSharedError: a text has no token before its answer.
    """
    nodes: dict[tuple[int, int], int] = {}
    depths: list[int] = []
    seen: list[list[int]] = []
    paths = []
    for ids, count in tails:
        if len(ids) <= count:
            raise NotSharedError("an answer follows the picture with no text between")
        parent = -1
        path: list[int] = []
        for depth, token in enumerate(ids[:-1]):
            node = nodes.setdefault((parent, token), len(nodes))
            if node == len(depths):
                depths.append(depth)
                seen.append([*path, node])
            path.append(node)
            parent = node
        paths.append(path[len(ids) - count - 1 :])
    sees = np.zeros((len(depths), len(depths)), dtype=bool)
    for node, ancestors in enumerate(seen):
        sees[node, ancestors] = True
    asked = sorted({node for path in paths for node in path})
    place = {node: index for index, node in enumerate(asked)}
    answers = [torch.tensor([place[node] for node in path]) for path in paths]
    tokens = torch.tensor([token for _, token in nodes])
    return Tree(tokens, torch.tensor(depths), torch.from_numpy(sees), torch.tensor(asked), answers)


def split_at_picture(encoder: Encoder, model: Any, sample: Sample) -> tuple[list[int], Tail]:
    """Return a sample's token ids before its picture, and the tail after it; without a picture all is tail."""
    ids, count = encoder.encode(sample)
    image = model.config.image_token_id
    if image not in ids:
        return [], (ids, count)
    end = len(ids) - ids[::-1].index(image)
    return ids[: ids.index(image)], (ids[end:], count)


class Prefix:
    """A model that has read the prompt up to a picture's end, its keys and values kept."""

    def __init__(self, model: Any, encoder: Encoder, sample: Sample) -> None:
        """Read the start of the prompt of ``sample``; nothing is read if it has no picture."""
        inputs = encoder.batch([sample]).inputs
        ids = inputs["input_ids"]
        places = (ids[0] == model.config.image_token_id).nonzero()
        self.model = model
        self.length = int(places[-1]) + 1 if len(places) else 0
        self.cache = None
        if self.length:
            cut = {name: t[:, : self.length] if t.shape == ids.shape else t for name, t in inputs.items()}
            with last_layer_at(model, torch.tensor([self.length - 1], device=model.device)):
                self.cache = with_room(model(**cut, use_cache=True, logits_to_keep=1).past_key_values, 0)

    def logits(self, tree: Tree) -> Tensor:
        """Return the logits [M, V] of the tree's predicting nodes.

        Raises:
            NotSharedError: the model sees no further back than the tree is long.
        """
        device, size = self.model.device, len(tree.ids)
        need_window(self.model, self.length + size)
        mask = torch.zeros(1, 1, size, self.length + size, device=device, dtype=self.model.dtype)
        mask[0, 0, :, self.length :].masked_fill_(~tree.sees.to(device), torch.finfo(mask.dtype).min)
        asked = tree.asked.to(device)
        with last_layer_at(self.model, asked):
            logits: Tensor = self.model(
                input_ids=tree.ids[None].to(device),
                attention_mask=mask,
                position_ids=(self.length + tree.depths)[None].to(device),
                past_key_values=self.cache,
                use_cache=self.cache is not None,
                logits_to_keep=asked,
            ).logits[0]
        if self.cache is not None:
            self.cache.crop(-size)
        return logits


def shown(sample: Sample, image: str) -> Sample:
    """Return the sample with another picture."""
    return replace(sample, picture=image)


def need_window(model: Any, tokens: int) -> None:
    """Check that a model sees all of so many tokens from each of them.

    Raises:
        NotSharedError: some of its layers look back no further than a window.
    """
    text = model.config.get_text_config()
    slides = "sliding_attention" in (getattr(text, "layer_types", None) or ())
    if slides and tokens >= text.sliding_window:
        raise NotSharedError("this model looks back no further than its window")


def need_same(logits: Tensor, plain: Tensor) -> None:
    """Check logits after a shared prefix against those of the plain way, of the same shape.

    Raises:
        NotSharedError: they differ by more than rounding does.
    """
    error = ((logits - plain).norm() / plain.norm()).item()
    # rounding differs by some 1e-6 in float32 and 1e-2 in half precision; another attention or other positions by more
    if not error < (1e-4 if plain.dtype == torch.float32 else 5e-2):
        raise NotSharedError(f"this model answers otherwise after a shared prefix (logits differ by {error:.1e})")


def need_causal_text(model: Any) -> None:
    """Check what a comparison of logits in half precision could miss.

    Raises:
        NotSharedError: positions follow the picture's rows and columns, or the prompt looks ahead to its own end.
    """
    text = model.config.get_text_config()
    if "mrope_section" in (getattr(text, "rope_parameters", None) or {}):
        raise NotSharedError("this model's positions follow the picture's rows and columns")
    if model.config.model_type == "paligemma":
        raise NotSharedError("this model's prompt looks ahead to its own end")
