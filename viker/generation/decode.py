"""Greedy decoding, with the prompt up to a picture's end computed once for all questions about that picture."""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from viker.models.chat import Encoder, Sample
from viker.models.preallocated_cache import with_room
from viker.models.shared_prefix import NotSharedError, need_causal_text, need_same, shown, split_at_picture


@dataclass(frozen=True)
class Prompt:
    """A sample, its picture's place among the prefixes that are kept, and the token ids after the picture.

    ``tail`` ends where the reply begins; ``answer`` are the ids of the sample's own answer, its end token last.
    """

    sample: Sample
    place: int
    tail: list[int]
    answer: list[int]


class Prefixes:
    """Keys and values of the prompts up to the ends of P pictures, all of the same length; "" is no picture."""

    def __init__(self, model: Any, encoder: Encoder, samples: Sequence[Sample]) -> None:
        """Read the pictures of ``samples``, which must all take the same number of tokens.

        Raises:
            NotSharedError: the model or its prompts don't allow it.
        """
        pictures = list(dict.fromkeys(sample.picture for sample in samples))
        splits = [split_at_picture(encoder, model, sample) for sample in samples]
        if len({tuple(before) for before, _ in splits}) > 1:
            raise NotSharedError("the text before the picture differs from sample to sample")
        self.model, self.encoder, self.cache, self.length = model, encoder, None, 0
        self.prompts = [
            Prompt(sample, pictures.index(sample.picture), ids[:-count], ids[-count:])
            for sample, (_, (ids, count)) in zip(samples, splits, strict=True)
        ]
        if pictures != [""]:
            inputs = encoder.prompts([shown(samples[0], picture) for picture in pictures])
            ids = inputs["input_ids"]
            self.length = ids.shape[1] - len(self.prompts[0].tail)
            cut = {name: t[:, : self.length] if t.shape == ids.shape else t for name, t in inputs.items()}
            self.cache = model(**cut, use_cache=True, logits_to_keep=1).past_key_values

    def decode(self, prompts: Sequence[Prompt], most: int, check: bool) -> list[list[int]]:
        """Return the likeliest next tokens of each prompt, at most ``most``, up to its end token.

        Rows that have ended are taken out once they are half of all. ``check``: compare the first prompt's logits
        with those of the plain way.

        Raises:
            NotSharedError: they differ.
        """
        device, ends = self.model.device, end_tokens(self.model, self.encoder)
        width = max(len(prompt.tail) for prompt in prompts)
        ids = torch.full((len(prompts), width), min(ends))
        mask = torch.zeros(len(prompts), self.length + width, dtype=torch.long)
        mask[:, : self.length] = 1
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.tail) :] = torch.tensor(prompt.tail)
            mask[row, self.length + width - len(prompt.tail) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        cache = None
        if self.cache is not None:
            cache = select(self.cache, torch.tensor([prompt.place for prompt in prompts], device=device))
            cache = with_room(cache, width + most)
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, self.length :]

        said: list[list[int]] = [[] for _ in prompts]
        rows = list(range(len(prompts)))
        for step in range(most):
            out = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            logits, cache = out.logits[:, -1], out.past_key_values
            if step == 0 and check:
                plain = self.model(**self.encoder.prompts([prompts[0].sample]), use_cache=False, logits_to_keep=1)
                need_same(logits[0], plain.logits[0, -1])
            chosen = logits.argmax(-1)
            for row, token in zip(rows, chosen.tolist(), strict=True):
                if not said[row] or said[row][-1] not in ends:
                    said[row].append(token)
            going = [place for place, row in enumerate(rows) if said[row][-1] not in ends]
            if not going:
                break
            ids, places = chosen[:, None], places[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            if len(going) <= len(rows) // 2:
                kept = torch.tensor(going, device=device)
                cache, ids, mask, places = select(cache, kept), ids[kept], mask[kept], places[kept]
                rows = [rows[place] for place in going]
        return said


def select(cache: Any, rows: Tensor) -> Any:
    """Return a cache with the ``rows`` [B] of another, which stays as it is."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]
    chosen.batch_select_indices(rows)
    return chosen


def end_tokens(model: Any, encoder: Encoder) -> set[int]:
    """Return the tokens that end a reply."""
    found = getattr(model.generation_config, "eos_token_id", None)
    ends = found if isinstance(found, list) else [found]
    return {token for token in (*ends, encoder.tokenizer.eos_token_id) if token is not None}


def chunks(encoder: Encoder, samples: Sequence[Sample], least: int) -> Iterator[list[Sample]]:
    """Yield samples whose pictures are read together, of pictures of the same number of tokens: all of a picture's.

    A chunk has ``least`` samples or somewhat more, the last of each size fewer; those without a picture are one chunk.
    """
    sizes: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        size = encoder.picture(sample.picture).text if sample.picture else ""
        sizes.setdefault(size, {}).setdefault(sample.picture, []).append(sample)
    for size, pictures in sizes.items():
        chunk: list[Sample] = []
        for own in pictures.values():
            chunk += own
            if size and len(chunk) >= least:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def need_sharing(model: Any) -> None:
    """Check what ``Prefixes`` asks of a model.

    Raises:
        NotSharedError: it lacks it.
    """
    need_causal_text(model)
    inner: Callable[..., Any] = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "logits_to_keep" not in inspect.signature(inner.forward).parameters:  # type: ignore[attr-defined]
        raise NotSharedError("this model computes the logits of all positions")
