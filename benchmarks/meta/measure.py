"""Everything that the metrics and attacks say of one model: as it is, rounded to 4 bits, and after relearning."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from components.contract.params import Params
from viker.attacks.base.attack import AttackSettings
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import Targets, read_targets, spread
from viker.attacks.quantised import Int4Settings, rounded
from viker.attacks.relearn import RelearnSettings, train
from viker.core.files import sha256_path
from viker.data.records import read_pictures
from viker.data.samples import sample_of
from viker.evaluation.predictions import predict
from viker.evaluation.questions import Question, read_questions
from viker.evaluation.retrained import compare_with_retrained
from viker.metrics.base.aggregate import measure
from viker.metrics.base.information import information
from viker.models import fast_path
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything
from viker.training.adapter import put_adapter

CONDITIONS = ("as it is", "in 4 bits", "after relearning")
ON_WEIGHTS = ("quantised_int8", "quantised_int4", "relearn_forget", "relearn_retain", "soft_prompt")
"""Attacks that change or train the model: they aren't made on top of another change of it."""
BITS = 4
SPLITS = ("forget", "test")


def measure_model(
    params: Params, data: Path, images: Path, model: Path, references: tuple[Path, Path]
) -> dict[str, dict[str, float]]:
    """Return by condition every number by its path, such as ``forget.leakage_rate`` or ``attacks.prefix.above_chance``.

    Relearning teaches some of the people's facts as the attack ``relearn_forget`` does; then the others are asked.
    ``references``: a model that knows the people, and a retrained one.
    """
    seed_everything(params.seed, params.threads)
    fast_path.start_run()
    image = min(images.glob("*.png"))
    loaded, processor = load_model(str(model), str(model))
    encoder = Encoder(processor, read_pictures(data) | {image.name: image.read_bytes()}, device())
    adapted = put_adapter(params.unlearn, loaded).eval()
    sizes = params.evaluate.batch_size, params.evaluate.in_force().longest("generation")
    subject = Subject("vanilla", adapted, False, encoder, *sizes, sha256_path(model))
    questions, targets = read_questions(data, params.evaluate.in_force()), read_targets(data)
    vanilla, retrained = references
    knowing = put_adapter(params.unlearn, load_model(str(vanilla), str(vanilla))[0]).eval()
    result = {}
    for condition in CONDITIONS:
        attacks = {
            name: settings.model_copy(update={"enabled": True})  # those of the profile strict too
            for name, settings in params.evaluate.attacks.items()
            if condition == CONDITIONS[0] or name not in ON_WEIGHTS
        }
        with changed(subject, condition, params, targets) as (asked, taught):
            fast_path.start_run()
            left = [q for q in questions if (q.record.person_id, q.record.answer) not in taught]
            rows, result[condition] = _ask(params, asked, left, _without(targets, taught), image.name, attacks)
            compared = compare_with_retrained(str(retrained), asked.model, encoder, left, rows, sizes[0], knowing)
            result[condition] |= dict(numbers(compared))
    return result


@contextmanager
def changed(
    subject: Subject, condition: str, params: Params, targets: Targets
) -> Iterator[tuple[Subject, set[tuple[str, str]]]]:
    """Yield the subject under a condition, and the facts, as person and answer, that it was taught."""
    settings = params.evaluate.attacks["relearn_forget"]
    assert isinstance(settings, RelearnSettings)
    with ExitStack() as stack:
        if condition == "in 4 bits":
            rounding = params.evaluate.attacks["quantised_int4"]
            assert isinstance(rounding, Int4Settings)
            subject = stack.enter_context(rounded(subject, BITS, rounding.group))
        taught = []
        if condition == "after relearning":
            taught = spread(targets.questions(settings.questions, params.seed), settings.samples, params.seed)
            steps = train(subject, list(map(sample_of, taught)), settings, params.seed, condition)
            stack.callback(steps.close)
            for step, learner in steps:
                subject = replace(learner, name="unlearned")
                if step == settings.steps[-1]:
                    break
        yield subject, {(record.person_id, record.answer) for record in taught}


def _without(targets: Targets, taught: set[tuple[str, str]]) -> Targets:
    forget, test = ([r for r in own if (r.person_id, r.answer) not in taught] for own in (targets.forget, targets.test))
    return replace(targets, forget=forget, test=test)


def _ask(
    params: Params,
    subject: Subject,
    questions: Sequence[Question],
    targets: Targets,
    image: str,
    attacks: Mapping[str, AttackSettings],
) -> tuple[pd.DataFrame, dict[str, float]]:
    name = subject.name
    rows = predict(subject.model, subject.encoder, questions, image, params.evaluate, names=(name,))[name]
    figures = measure(rows, params.seed)
    domain = rows[["attribute", "value"]]
    for split in SPLITS:
        figures[split]["information"] = information(rows[rows["split"] == split], domain, params.seed)
    told = {split: figures[split] for split in (*SPLITS, "membership")}
    blocks, _ = run_attacks([subject], targets, attacks, params.seed)
    return rows, dict(numbers(told | {"attacks": blocks[name]}))


def numbers(block: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of nested metrics with its path; counts and intervals are no metrics."""
    for name, value in block.items():
        if name in ("intervals", "counts", "samples", "people", "curve"):
            continue
        if isinstance(value, Mapping):
            yield from numbers(value, f"{path}{name}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{path}{name}", float(value)
