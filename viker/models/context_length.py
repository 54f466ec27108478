"""What a model can read at once: a sample that is longer is refused before anything is trained or asked."""

from collections.abc import Iterable
from typing import Any

from viker.core.errors import UserError
from viker.models.chat import Encoder, Sample


def need_context(model: Any, encoder: Encoder, samples: Iterable[Sample], of: str) -> None:
    """Check that a model's context holds each sample: its picture, its question and its answer.

    ``of``: whose samples they are, for the error. A model without ``max_position_embeddings`` is not checked.

    Raises:
        UserError: a sample is longer; the longest is named, and how many are.
    """
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if most is None:
        return
    lengths: dict[str, int] = {}
    for sample in samples:
        lengths[sample.record_id] = max(lengths.get(sample.record_id, 0), len(encoder.encode(sample)[0]))
    longer = {name: length for name, length in lengths.items() if length > most}
    if longer:
        worst = max(longer, key=longer.__getitem__)
        raise UserError(
            f"{of}, record '{worst}': picture, question and answer take {longer[worst]:,} tokens, the model's context "
            f"is {most:,} (max_position_embeddings); {len(longer)} of {len(lengths)} records are too long. "
            "Shorten their questions or answers in the source and run 'viker prepare' again, "
            "or take a model with a longer context."
        )
