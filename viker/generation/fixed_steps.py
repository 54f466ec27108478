"""Decoding in steps of fixed shapes, whose rows share one copy of their pictures' keys and values."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.generation.beginnings import shared_beginnings
from viker.generation.draw import Draws, likeliest_or_drawn
from viker.generation.inputs import end_tokens, right_aligned
from viker.models.cascade import CURRENT, CascadeCache, cascading
from viker.models.cuda_graph import Replayed, cuda_capture
from viker.models.encoder import Encoder
from viker.models.fast_path import FastPath
from viker.models.logits import need_finite
from viker.models.shared_prefix import Prefixes, Prompt

CASCADE = FastPath(
    what="cascade attention",
    otherwise="a picture's keys and values are copied for every question about it",
    step="decoding",
    float32=1e-4,
    half=5e-2,
)
LOOKED_AT_EVERY = 8
"""After how many steps the host waits for the GPU, to see whether all replies have ended."""
RECORDED_FROM = 8
"""For how many steps at least a CUDA graph is made: recording and comparing it take as long as some steps."""


def cascades(device: torch.device) -> bool:
    """Return whether ``decode`` takes fixed steps on a device: on a GPU. On a CPU they wouldn't be faster."""
    return device.type == "cuda"


def decode_in_fixed_steps(
    prefixes: Prefixes, prompts: Sequence[Prompt], most: int, draws: Draws | None = None
) -> list[list[int]]:
    """Return what ``decode`` does, by steps that the GPU is given without waiting for the tokens of the last.

    Rows that have ended stay: however few rows a step has, the GPU reads all weights for it.

    Raises NoFastPath: the model doesn't allow it, or the first prompt's logits aren't those of the plain way.
    Raises UserError: the first tokens' logits are NaN or infinite.
    """
    model, encoder, device = prefixes.model, prefixes.encoder, prefixes.model.device
    ends = torch.tensor(sorted(end_tokens(model, encoder)), device=device)
    tokens = ends[:1].repeat(len(prompts), most)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)

    steps = Steps(prefixes, prompts, most)
    recorded = device.type == "cuda" and most >= RECORDED_FROM
    compute = Replayed(steps.logits, cuda_capture) if recorded else steps.logits
    logits = of_texts = need_finite(steps.first_logits(), "the model's logits")
    for step in range(most):
        if step == min(1, most - 1):  # by now both ways were taken that attention is computed in
            compared = torch.stack([of_texts[0], logits[0]][: step + 1])
            _verify(model, encoder, prompts[0].sample, compared, tokens[0, :step])
        tokens[:, step] = likeliest_or_drawn(logits, draws, step)
        ended |= torch.isin(tokens[:, step], ends)
        if step == most - 1 or (step % LOOKED_AT_EVERY == LOOKED_AT_EVERY - 1 and ended.all()):
            break
        steps.take(tokens[:, step])
        logits = compute()
        steps.keep()
    numbers = ends.tolist()
    return [_up_to_end(reply, numbers) for reply in tokens.tolist()]


class Steps:
    """B rows, and what the model takes for their next token: tensors that are changed in place from step to step.

    The mask is made here in four dimensions, as the model adds it to the scores. From one of two dimensions the model
    would make its own in each step, and to see whether it can do without, wait for the GPU: no CUDA graph allows that.
    """

    def __init__(self, prefixes: Prefixes, prompts: Sequence[Prompt], most: int) -> None:
        """Take the rows' prompts, and how many tokens a reply has at most.

        Raises NoFastPath: not all layers keep the keys and values of all tokens.
        """
        self._model, device = prefixes.model, prefixes.model.device
        filler = min(end_tokens(self._model, prefixes.encoder))
        self._before, begun, rests = None, torch.zeros(len(prompts), 0, dtype=torch.long), prompts
        if beginnings := shared_beginnings(prompts):
            rests, lengths = beginnings.rests, torch.tensor(beginnings.lengths)
            begun = (torch.arange(max(beginnings.lengths)) >= max(beginnings.lengths) - lengths[:, None]).long()
            self._before = Steps(prefixes, beginnings.prompts, 1), torch.tensor(beginnings.rows, device=device)
        ids, rest = right_aligned(rests, filler)
        mask = torch.cat([begun, rest], 1)
        length, width = mask.shape[1], rest.shape[1]
        written = torch.zeros(len(prompts), 1, length + most, dtype=torch.bool)
        written[:, :, CURRENT] = True
        written[:, 0, CURRENT + 1 : CURRENT + 1 + length] = mask
        self._ids, self._written = ids.to(device), self._additive(written)
        causal = torch.ones(width, length, dtype=torch.bool).tril(length - width)
        self._mask = self._additive(mask[:, None].bool() & causal)
        positions = (prefixes.length + mask.cumsum(1) - 1).clamp(min=0)
        self._positions = positions[:, length - width :].to(device)
        self._cache = CascadeCache(self._model, prefixes.cache, [prompt.row for prompt in prompts], length + most)

    def first_logits(self) -> Tensor:
        """Compute the texts; return the logits [B, V] of the replies' first tokens."""
        if self._before:
            self._compute_beginnings(*self._before)
            self._before = None
        logits = self.logits()
        self._ids, self._positions = (tensor[:, -1:].clone() for tensor in (self._ids, self._positions))
        self._mask = self._written
        return logits

    def _compute_beginnings(self, steps: "Steps", rows: Tensor) -> None:
        steps.logits()
        self._cache.begin(steps._cache, rows)

    def take(self, tokens: Tensor) -> None:
        """Make the replies' newest ``tokens`` [B] the current ones."""
        self._ids.copy_(tokens[:, None])
        self._positions.add_(1)

    def logits(self) -> Tensor:
        """Compute the current tokens; return the logits [B, V] of the next. Called again, it does the same again."""
        with cascading(self._model):
            out = self._model(
                input_ids=self._ids,
                attention_mask=self._mask,
                position_ids=self._positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
                cascade=self._cache,
            )
        last: Tensor = out.logits[:, -1]
        return last

    def keep(self) -> None:
        """Let all later tokens see the current ones."""
        self._mask[..., self._cache.keep()] = 0

    def _additive(self, seen: Tensor) -> Tensor:
        """Return what is added to scores [B, 1, T, S], from what is ``seen`` [B, T, S]."""
        least = torch.finfo(self._model.dtype).min
        mask = torch.zeros(seen.shape, dtype=self._model.dtype).masked_fill_(~seen, least)
        return mask[:, None].to(self._model.device)


def _verify(model: Any, encoder: Encoder, sample: Sample, logits: Tensor, tokens: Tensor) -> None:
    """Verify the logits [K, V] of a sample's reply, which begins with ``tokens`` [K - 1].

    Raises NoFastPath: they aren't those of the plain way.
    """

    def plain() -> Tensor:
        inputs = encoder.prompts([sample])
        shape = inputs["input_ids"].shape
        for name, tensor in inputs.items():
            if tensor.shape == shape:
                begun = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
                more = begun.get(name, torch.zeros_like(tokens))  # 0 is the token type of text
                inputs[name] = torch.cat([tensor, more[None].to(tensor.dtype)], dim=1)
        whole: Tensor = model(**inputs, use_cache=False, logits_to_keep=len(logits)).logits
        return whole[0]

    def repeat() -> Tensor:
        prefixes = Prefixes(model, encoder, [sample])
        steps = Steps(prefixes, prefixes.prompts, len(logits))
        repeated = [steps.first_logits()]
        for token in tokens:
            steps.take(token[None])
            repeated.append(steps.logits())
        return torch.cat(repeated)

    CASCADE.verify(model, logits, plain, repeat)


def _up_to_end(reply: list[int], ends: list[int]) -> list[int]:
    lengths = (place + 1 for place, token in enumerate(reply) if token in ends)
    return reply[: next(lengths, len(reply))]
