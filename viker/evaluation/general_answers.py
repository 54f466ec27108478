"""Asks both models the questions of general ability, see ``general_ability``."""

from contextlib import nullcontext
from typing import Any

from viker.core.run_store import RunStore
from viker.data.records import Record
from viker.data.samples import sample_of
from viker.evaluation.general_ability import ANSWERS, NAME, count_ability, general_questions
from viker.evaluation.predictions import MODELS
from viker.generation.generate import log_likelihoods
from viker.models.encoder import Encoder


def general_ability(adapted: Any, encoder: Encoder, batch_size: int, store: RunStore) -> dict[str, dict[str, Any]]:
    """Return ``count_ability`` of the vanilla and the unlearned model; what ``store`` has isn't asked again."""
    choices = {}
    for name in MODELS:
        with nullcontext() if name == "unlearned" else adapted.disable_adapter():
            choices[name] = store.result((NAME, name), lambda: chosen_answers(adapted, encoder, batch_size))
    return {name: count_ability(chosen, choices["vanilla"]) for name, chosen in choices.items()}


def chosen_answers(model: Any, encoder: Encoder, batch_size: int) -> str:
    """Return a digit for each question: the place of the answer that the model finds likeliest per token.

    ``encoder``: with ``drawn_pictures``.
    """
    samples = [
        sample_of(Record(f"{NAME}/{number}/{place}", "", "qa", "image_text", one.question, answer), one.picture)
        for number, one in enumerate(general_questions())
        for place, answer in enumerate(one.answers)
    ]
    likelihoods = log_likelihoods(model, encoder, samples, batch_size)
    rows = [likelihoods[start : start + ANSWERS] for start in range(0, len(samples), ANSWERS)]
    return "".join(str(row.index(max(row))) for row in rows)
