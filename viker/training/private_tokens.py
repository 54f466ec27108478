"""What can't be forgotten under these settings, and whether the model looks at the pictures at all.

Both are said of the tokens of private values in the answers to be forgotten, before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from viker.data.records import Record
from viker.data.samples import Sample
from viker.methods.base.method import MethodSettings, method_of
from viker.metrics.base.private_values import judged
from viker.models.encoder import Encoder
from viker.teacher.distributions import TeacherDistributions, full
from viker.teacher.private_places import places_of_each, places_of_values
from viker.teacher.visual import TEACHER_BATCH, compute_teachers

HIGH = 0.5
"""With all its tokens' floors above this, a private value stays the likeliest answer: it is warned of."""
COLUMNS = ["record_id", "person_id", "question", "value", "position", "token", "teacher", "floor", "vanilla", "kl"]


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


def visual_reliance(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    images: Sequence[Sequence[str]],
    values: Mapping[str, Sequence[str]],
    people: Mapping[str, str],
) -> dict[str, float]:
    """Return how often the frozen model tells the tokens of private values right, by what picture it is shown.

    Greedy, after the true prefix, with the ``own`` picture, ``another`` person's, an ``irrelevant`` one, and ``none``;
    ``reliance`` is own - irrelevant. Shares of tokens, between 0 and 1; of samples with a picture and a private value.
    {} where there is none.
    """
    places = {s: places_of_values(encoder, s, values.get(s.record_id, ())) for s in samples if s.picture}
    chosen = [sample for sample, own in places.items() if own]
    if not chosen:
        return {}
    irrelevant = dict(zip(samples, images, strict=True))
    pictures = {people[s.record_id]: s.picture for s in chosen}
    shown = {
        "own": [s.picture for s in chosen],
        "another": [_next(pictures, people[s.record_id]) for s in chosen],
        "irrelevant": [irrelevant[s][0] for s in chosen],
        "none": [""] * len(chosen),
    }
    total = sum(len(places[s]) for s in chosen)
    told: dict[str, float] = {}
    for kind, keys in shown.items():
        answers = _own(model, encoder, [replace(s, picture=key) for s, key in zip(chosen, keys, strict=True)])
        right = ((full(p).argmax(-1) == encoder.answer_ids(s))[places[s]] for s, p in zip(chosen, answers, strict=True))
        told[kind] = float(sum(int(one.sum()) for one in right)) / total
    return told | {"reliance": told["own"] - told["irrelevant"]}


def kept_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per private value: ``record_id``, ``person_id``, ``question``, the tokens' mean ``teacher``, and
    ``kept``, whether the floors of all its tokens are above ``HIGH``.

    A token behind the value's first may be certain by spelling alone, whoever is asked about; so all of them count.
    """
    whose = ["record_id", "person_id", "question", "value"]
    values = rows.groupby(whose, sort=False).agg(teacher=("teacher", "mean"), lowest=("floor", "min")).reset_index()
    return values.assign(kept=values["lowest"] > HIGH)


def floor_warning(rows: pd.DataFrame) -> str | None:
    """Return what to say of private values that the loss can't bring below ``HIGH``; None where there are none."""
    values = kept_values(rows)
    kept = values[values["kept"]]
    if kept.empty:
        return None
    asked = kept.groupby("question").size().sort_values(ascending=False)
    most = ", ".join(f"'{question}' ({count})" for question, count in asked.head(3).items())
    return (
        f"{len(kept)} of {len(values)} private values can't be forgotten with these settings: the teacher gives their "
        f"tokens {kept['teacher'].mean():.2f} on average without the picture, and the regulariser keeps each of them "
        f"above {HIGH:g}. They belong to {kept['person_id'].nunique()} people; most are in {most}. Take a teacher that "
        "doesn't know the person's name (unlearn.method.teacher: counterfactual, population or masked), or an "
        "unlearn.method.lambda of at most 1: see docs/methods.md. private_tokens.parquet lists every token."
    )


def summarised(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of ``private_token_rows`` for the run's summary: counts, and means over the tokens."""
    values = kept_values(rows)
    means = {f"mean_{name}": float(rows[name].mean()) for name in ("teacher", "vanilla", "floor", "kl")}
    return {
        "values": len(values),
        "values_kept": int(values["kept"].sum()),
        "people_with_values_kept": int(values.loc[values["kept"], "person_id"].nunique()),
        "tokens": len(rows),
        "tokens_kept": int((rows["floor"] > HIGH).sum()),
        **(means if len(rows) else {}),
    }


def _own(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> list[TeacherDistributions]:
    """Return the frozen model's distributions with the samples' own pictures."""
    if not samples:
        return []
    return compute_teachers(model, encoder, samples, [[s.picture] for s in samples], TEACHER_BATCH)


def _next(pictures: Mapping[str, str], person: str) -> str:
    """Return the picture of the person that follows ``person``; the own one if there is nobody else."""
    order = sorted(pictures)
    return pictures[order[(order.index(person) + 1) % len(order)]]
