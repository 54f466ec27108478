"""What can't be forgotten under these settings, said of the tokens of private values before anything is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from viker.data.records import Record
from viker.data.samples import Sample
from viker.methods.base.method import MethodSettings, method_of
from viker.metrics.base.floors import COLUMNS, HIGH, kept_values
from viker.metrics.base.private_values import judged
from viker.models.encoder import Encoder
from viker.teacher.distributions import TeacherDistributions, full
from viker.teacher.private_places import places_of_each
from viker.teacher.visual import compute_teachers


def private_values(forget: Sequence[Record], retain: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    """Return by record ID the private values in the answers to be forgotten; a person's own name is none."""
    return {record.id: record.secrets for record in judged({"forget": forget, "retain": retain})["forget"]}


def private_token_rows(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    teachers: Sequence[TeacherDistributions],
    values: Mapping[str, Sequence[str]],
    people: Mapping[str, str],
    method: MethodSettings,
) -> pd.DataFrame:
    """Return one row of ``COLUMNS`` per token of a private value; ``value`` counts the values of an answer.

    ``teacher``, ``vanilla``: the true token's probability by the teacher, and by the frozen model with the person's own
    picture; ``floor``: what the method's loss doesn't push it below, see ``Method.floor``; ``kl``: KL(vanilla ||
    teacher), nats: how much the picture, or the name, tells the model at that place.

    ``teachers``: each sample's distributions [T, V]; ``values``: by record ID; ``people``: person IDs by record ID.
    """
    bound = method_of(method).floor
    rows: list[tuple[Any, ...]] = []
    private = [
        (sample, teacher, places)
        for sample, teacher in zip(samples, teachers, strict=True)
        if (places := places_of_each(encoder, sample, values.get(sample.record_id, ())))
    ]
    seen = _own(model, encoder, [sample for sample, _, _ in private])
    for (sample, teacher, places), own in zip(private, seen, strict=True):
        ids, p, q = encoder.answer_ids(sample), full(own), full(teacher)
        kl = torch.nn.functional.kl_div(q.clamp_min(1e-12).log(), p, reduction="none").sum(-1)
        tokens = encoder.tokenizer.convert_ids_to_tokens(ids.tolist())
        for value, place in ((value, place) for value, own_places in enumerate(places) for place in own_places):
            taught, known = float(q[place, ids[place]]), float(p[place, ids[place]])
            low = bound(taught, method) if bound else 0.0
            whose = (sample.record_id, people[sample.record_id], sample.prompt, value, place, tokens[place])
            rows.append((*whose, taught, low, known, max(0.0, float(kl[place]))))
    return pd.DataFrame(rows, columns=COLUMNS)


def floor_warning(rows: pd.DataFrame) -> str | None:
    """Return what to say of private values that the loss can't bring below ``HIGH``; None where there are none."""
    values = kept_values(rows)
    kept = values[values["kept"]]
    if kept.empty:
        return None
    asked = kept.groupby("question").size().sort_values(ascending=False, kind="stable")
    most = ", ".join(f"'{question}' ({count})" for question, count in asked.head(3).items())
    return (
        f"{len(kept)} of {len(values)} private values can't be forgotten with these settings: the teacher gives their "
        f"tokens {kept['teacher'].mean():.2f} on average without the picture, and the regulariser keeps each of them "
        f"above {HIGH:g}. They belong to {kept['person_id'].nunique()} people; most are in {most}. Take a teacher that "
        "doesn't know the person's name (unlearn.method.teacher: counterfactual, population or masked), or an "
        "unlearn.method.lambda of at most 1: see docs/methods.md. private_tokens.parquet lists every token."
    )


def _own(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> list[TeacherDistributions]:
    """Return the frozen model's distributions with the samples' own pictures."""
    if not samples:
        return []
    return compute_teachers(model, encoder, samples, [[s.picture] for s in samples])
