"""What decoding begins with: the texts after the pictures, aligned on the right, and the tokens that end a reply."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from viker.models.encoder import Encoder
from viker.models.shared_prefix import Prompt


def right_aligned(prompts: Sequence[Prompt], filler: int) -> tuple[Tensor, Tensor]:
    """Return the token ids after the pictures [B, width], each row ending in the last column, and a mask of them.

    ``filler`` is to the left of shorter ones, where the mask is 0.
    """
    width = max(len(prompt.tail) for prompt in prompts)
    ids = torch.full((len(prompts), width), filler)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt.tail) :] = torch.tensor(prompt.tail)
        mask[row, width - len(prompt.tail) :] = 1
    return ids, mask


def end_tokens(model: Any, encoder: Encoder) -> set[int]:
    """Return the tokens that end a reply: the model's and the tokenizer's."""
    of_model = getattr(model.generation_config, "eos_token_id", None)
    ends = of_model if isinstance(of_model, list) else [of_model]
    return {token for token in (*ends, encoder.tokenizer.eos_token_id) if token is not None}
