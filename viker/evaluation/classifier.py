"""A text classifier that tells clean replies from gibberish, as open-unlearning uses one."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from viker.core.errors import UserError
from viker.models.loading import device

CLEAN = "clean"
"""The class whose probability counts, whatever its case."""
WHERE = "evaluate.gibberish_classifier"


def clean_probabilities(name: str, texts: Sequence[str], batch_size: int) -> list[float]:
    """Return of each text the probability of the class ``CLEAN``, 0..1.

    ``name``: folder or hub name of a sequence classifier, safetensors only, such as
    ``madhurjindal/autonlp-Gibberish-Detector-492513457``, which open-unlearning uses.

    Raises UserError: it can't be loaded, or has no such class.
    """
    model, tokenizer = _load(name)
    labels = {str(label).casefold(): int(number) for number, label in model.config.id2label.items()}
    if CLEAN not in labels:
        classes = ", ".join(map(str, model.config.id2label.values()))
        raise UserError(
            f"{WHERE}: '{name}' has the classes {classes}, none of them called '{CLEAN}'. Name a classifier of "
            "gibberish that has one, or null."
        )
    probabilities: list[float] = []
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = list(texts[start : start + batch_size])
            encoded = tokenizer(batch, padding=True, truncation=True, return_tensors="pt").to(device())
            probabilities += model(**encoded).logits.float().softmax(-1)[:, labels[CLEAN]].tolist()
    return probabilities


def _load(name: str) -> tuple[Any, Any]:
    try:
        model = AutoModelForSequenceClassification.from_pretrained(name, use_safetensors=True)
        return model.eval().to(device()), AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{WHERE}: '{name}' can't be loaded as a sequence classifier ({reason}). Expected a folder or hub name "
            "with its weights as safetensors, or null."
        ) from None
