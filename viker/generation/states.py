"""The hidden states that a reply begins from, each picture read once for all that is asked about it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.generation.asking import Asking, Kind, by_length, question_of
from viker.generation.decode import first_pass
from viker.generation.memory import states_bytes
from viker.models.encoder import Encoder
from viker.models.pass_size import PassSize
from viker.models.shared_prefix import DECODING, Prefixes, Prompt

STATES: Kind[Any] = Kind(
    "states", "question", DECODING, PassSize("full batch of hidden states"), question_of, by_length, None
)
KEPT: dict[str, Any] = {"output_hidden_states": True, "logits_to_keep": 1}


def states_before_reply(
    model: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int, name: str
) -> list[Tensor]:
    """Return for each sample the states [L + 1, D] of its prompt's last token, float32, on the CPU.

    They are what the first of L layers takes and what each puts out, the last one's after the final norm, where the
    family has transformers return it so. ``name`` heads the progress bar.
    """

    def last(out: Any) -> list[Tensor]:
        return list(torch.stack([states[:, -1] for states in out.hidden_states], 1).float().cpu())

    def shared(prefixes: Prefixes, prompts: list[Prompt]) -> list[Tensor]:
        return last(first_pass(prefixes, prompts, **KEPT)[1])

    def plain(part: Sequence[Sample]) -> list[Tensor]:
        return last(model(**encoder.prompts(part), use_cache=False, **KEPT))

    return Asking(STATES, model, encoder, batch_size, name, shared, plain, states_bytes).results(samples)
