"""Decoding of many prompts at once, greedy or drawn, from the kept keys and values of their pictures."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.generation.draw import Draws, likeliest_or_drawn
from viker.generation.fixed_steps import CASCADE, cascades, decode_in_fixed_steps
from viker.generation.inputs import end_tokens, right_aligned
from viker.models.encoder import Encoder
from viker.models.logits import need_finite
from viker.models.preallocated_cache import preallocated
from viker.models.shared_prefix import DECODING, Prefixes, Prompt, select


def decode(
    prefixes: Prefixes, prompts: Sequence[Prompt], most: int, draws: Draws | None = None, cascade: bool | None = None
) -> list[list[int]]:
    """Return the next tokens of each prompt, at most ``most``, up to its end token: the likeliest, or as ``draws`` has.

    ``cascade``: whether questions about a picture share one copy of its keys and values, by the fast path ``CASCADE``.
    None: as ``cascades`` has it. Logits then differ in the last digits.

    Raises NoFastPath: the first prompt's logits aren't those of the plain way.
    Raises UserError: the first tokens' logits are NaN or infinite.
    """
    copying = partial(_decode_copies, prefixes, prompts, most, draws)
    if cascades(prefixes.model.device) if cascade is None else cascade:
        return CASCADE.take(prefixes.model, partial(decode_in_fixed_steps, prefixes, prompts, most, draws), copying)
    return copying()


def _decode_copies(prefixes: Prefixes, prompts: Sequence[Prompt], most: int, draws: Draws | None) -> list[list[int]]:
    """Return what ``decode`` does, with a copy of its picture's keys and values for each prompt.

    Rows that have ended are taken out once they are half of all.
    """
    model, encoder = prefixes.model, prefixes.encoder
    device, ends = model.device, end_tokens(model, encoder)
    inputs, out = first_pass(prefixes, prompts, most, logits_to_keep=1)
    mask, positions = inputs["attention_mask"], inputs["position_ids"]

    replies: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the prompt that each row of the batch answers
    for step in range(most):
        tokens = likeliest_or_drawn(out.logits[:, -1], draws, step)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if not replies[row] or replies[row][-1] not in ends:
                replies[row].append(token)
        going = [place for place, row in enumerate(rows) if replies[row][-1] not in ends]
        if not going or step == most - 1:
            break
        ids, positions, cache = tokens[:, None], positions[:, -1:] + 1, out.past_key_values
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        if len(going) <= len(rows) // 2:
            remaining = torch.tensor(going, device=device)
            cache, ids, mask = select(cache, remaining), ids[remaining], mask[remaining]
            positions, rows = positions[remaining], [rows[place] for place in going]
            draws = draws and draws.of(remaining)
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}
        out = model(**inputs, use_cache=True, logits_to_keep=1)
    return replies


def first_pass(
    prefixes: Prefixes, prompts: Sequence[Prompt], most: int = 0, **options: Any
) -> tuple[dict[str, Any], Any]:
    """Compute the texts after the pictures, aligned on the right, with room for ``most`` tokens of each reply.

    Returns:
        the model's inputs, and what it returns for them and for ``options``, which have it return the last logits.

    Raises NoFastPath: the first prompt's logits aren't those of the plain way.
    Raises UserError: the last tokens' logits are NaN or infinite.
    """
    model, encoder, sample = prefixes.model, prefixes.encoder, prompts[0].sample
    inputs = _first_inputs(prefixes, prompts, most)
    out = model(**inputs, use_cache=True, **options)
    logits = need_finite(out.logits[:, -1], "the model's logits")
    plain, repeated = (partial(way, model, encoder, sample) for way in (_plain_logits, _repeated_logits))
    DECODING.verify(model, logits[0], plain, repeated)
    return inputs, out


def _first_inputs(prefixes: Prefixes, prompts: Sequence[Prompt], most: int) -> dict[str, Any]:
    """Return what the model takes for the first tokens of the replies: the texts, aligned on the right."""
    length = prefixes.length
    ids, mask = right_aligned(prompts, min(end_tokens(prefixes.model, prefixes.encoder)))
    mask = torch.cat([mask.new_ones(len(prompts), length), mask], dim=1)
    cache = prefixes.rows(prompts)
    if cache is not None:
        cache = preallocated(cache, ids.shape[1] + most)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, length:]
    device = prefixes.model.device
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "position_ids": positions.to(device)}
    return inputs | {"past_key_values": cache}


def _repeated_logits(model: Any, encoder: Encoder, sample: Sample) -> Tensor:
    """Return what ``_plain_logits`` does, by the fast path."""
    prefixes = Prefixes(model, encoder, [sample])
    inputs = _first_inputs(prefixes, prefixes.prompts, 1)
    logits: Tensor = model(**inputs, use_cache=True, logits_to_keep=1).logits
    return logits[0, -1]


def _plain_logits(model: Any, encoder: Encoder, sample: Sample) -> Tensor:
    """Return the logits [V] of a reply's first token, the whole prompt computed for it alone."""
    logits: Tensor = model(**encoder.prompts([sample]), use_cache=False, logits_to_keep=1).logits
    return logits[0, -1]
