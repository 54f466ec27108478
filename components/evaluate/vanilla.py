"""The vanilla model's answers, which no adapter changes: from the cache where an earlier run has asked for the same."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from components.contract.shares import describe_part, record_fallbacks
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import Targets
from viker.core.files import read_json, write_json
from viker.core.result_cache import cached, keep, key_of
from viker.core.run_store import RunStore
from viker.evaluation.predictions import answer
from viker.evaluation.questions import Question
from viker.evaluation.settings import EvaluateParams
from viker.models.loading import computed_by

ANSWERS = "answers.json"
"""In the folder of a part, and of an entry of the cache: the results."""


def ask_or_recall(
    store: RunStore,
    subject: Subject,
    questions: Sequence[Question],
    targets: Targets,
    params: EvaluateParams,
    deciding: Mapping[str, Any],
) -> None:
    """Fill ``store`` with the vanilla model's answers and the attacks on it, or with its share of them.

    Attacks that are drawn by the adapter's hash are left out. What was asked in one go is kept for later runs, with its
    fallbacks. ``subject``: the vanilla model; ``deciding``: what decides the run's answers.
    """
    attacks = {one: own for one, own in params.attacks.items() if not load_attacks()[one].drawn_by_adapter}
    settings = {one: own.model_dump(mode="json") for one, own in attacks.items()}
    asked = {**deciding, "adapter": None, "attacks": settings, "share": store.share}
    key = None if store.results else key_of("vanilla", {**asked, **computed_by()})
    with cached(key, "the vanilla model's answers") as folder:
        if folder is not None:
            record_fallbacks(folder, "evaluate")
            store.take_over(read_json(folder / ANSWERS, "evaluate"))
            return
    answer("vanilla", subject.model, subject.encoder, questions, params, store)
    run_attacks([subject], targets, attacks, deciding["seed"], store)
    if key is not None:
        keep(key, partial(write_answers, store, deciding))


def write_answers(store: RunStore, deciding: Mapping[str, Any], folder: Path) -> None:
    """Write what was asked, what decides it, and its fallbacks: as a part, or as an entry of the cache."""
    describe_part(folder, deciding)
    write_json(folder / ANSWERS, store.results)
