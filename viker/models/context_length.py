"""Context length: samples that a model can't read whole are refused before anything is trained or asked."""

from collections.abc import Iterable
from typing import Any

from viker.core.errors import UserError
from viker.data.samples import Sample
from viker.models.encoder import Encoder


def need_context(model: Any, encoder: Encoder, samples: Iterable[Sample], of: str) -> None:
    """Check that each sample, its picture, question and answer, fits into a model's context.

    ``of``: where the samples come from, for the error. A model without ``max_position_embeddings`` is not checked.

    Raises UserError: some samples are too long; the error names the longest and how many there are.
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
