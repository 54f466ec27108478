"""How well a score of a token tells marked from other tokens: AUC, precision and recall, with intervals by person."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.annotations.spans import Marked, spans_of
from viker.data.records import Record
from viker.data.samples import sample_of
from viker.metrics.base.floors import spans_of_values
from viker.models.encoder import Encoder
from viker.models.entropy import entropy
from viker.teacher.distributions import full
from viker.teacher.key_marks import Mark, key_tokens
from viker.teacher.visual import TEACHER_BATCH, compute_teachers

SCORES = {
    "entropy": "entropy of the teacher, nats",
    "relative": "the same over the answer's largest",
    "surprise": "1 − p̄(y)",
    "divergence": "KL(vanilla, own picture ‖ teacher), nats",
}
MARKS: tuple[Mark, ...] = ("fixed", "quantile", "otsu", "mixture")
DRAWS, LEVEL = 1000, 95


def token_rows(
    model: Any, encoder: Encoder, records: Sequence[Record], images: Sequence[Sequence[str]], marked: Marked
) -> pd.DataFrame:
    """Return one row per token of the marked answers, the end token left out: person, answer, scores, marks, private.

    ``private``: whether the token is part of a span that was marked by hand; ``known``: of a value that the data name.
    """
    samples = [sample_of(record) for record in records]
    teachers = compute_teachers(model, encoder, samples, images, TEACHER_BATCH)
    own = compute_teachers(model, encoder, samples, [[s.picture] for s in samples], TEACHER_BATCH)
    tables = []
    for record, sample, teacher, seen in zip(records, samples, teachers, own, strict=True):
        q, p, true = full(teacher), full(seen), encoder.answer_ids(sample)
        nats, places = entropy(q), encoder.answer_places(sample)
        kl = torch.nn.functional.kl_div(q.clamp_min(1e-12).log(), p, reduction="none").sum(-1)
        table = {
            "entropy": nats,
            "relative": nats / nats.max().clamp_min(1e-9),
            "surprise": 1 - q.gather(-1, true[:, None])[:, 0],
            "divergence": kl.clamp_min(0),
            "vanilla": p.gather(-1, true[:, None])[:, 0],
        }
        spans = {"private": spans_of(record, marked) or [], "known": spans_of_values(sample.answer, record.secrets)}
        inside = {
            name: [any(a < end and b > start for start, end in own) for a, b in places] for name, own in spans.items()
        }
        frame = pd.DataFrame({name: score.numpy() for name, score in table.items()} | inside)
        tables.append(frame.assign(person=record.person_id, answer=record.id)[: len(true) - 1])
    rows = pd.concat(tables, ignore_index=True)
    for score in SCORES:
        answers = [torch.tensor(own.to_numpy()) for _, own in rows.groupby("answer", sort=False)[score]]
        for mark in MARKS:
            rows[f"{score} {mark}"] = torch.cat(key_tokens(answers, mark)).numpy()
    return rows


def auc(scores: np.ndarray, private: np.ndarray) -> float:
    """Return the chance that a private token scores higher than another, ties half; NaN where one kind is missing."""
    ranks = pd.Series(scores).rank().to_numpy()
    count = int(private.sum())
    other = len(private) - count
    return float((ranks[private].sum() - count * (count + 1) / 2) / (count * other)) if count and other else np.nan


def precision_recall(key: np.ndarray, private: np.ndarray) -> tuple[float, float]:
    """Return the share of key tokens that are private, and of private ones that are key; NaN where there are none."""
    both = float((key & private).sum())
    return both / key.sum() if key.any() else np.nan, both / private.sum() if private.any() else np.nan


def with_interval(people: np.ndarray, figure: Callable[..., Any], *columns: np.ndarray) -> np.ndarray:
    """Return a figure of columns [T], and the ends of its 95 % bootstrap interval, [3] or [3, n]: people are drawn.

    ``people``: whom each token is about, [T].
    """
    own = [np.flatnonzero(people == person) for person in np.unique(people)]
    rng = np.random.default_rng(0)
    picks = (np.concatenate([own[n] for n in rng.integers(len(own), size=len(own))]) for _ in range(DRAWS))
    drawn = [figure(*(column[pick] for column in columns)) for pick in picks]
    ends = np.nanpercentile(np.array(drawn, dtype=float), [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=0)
    return np.array([figure(*columns), *ends])


def tables(rows: pd.DataFrame) -> str:
    """Return the AUC of each score, and precision and recall of each mark of it, as Markdown."""
    people, private = rows["person"].to_numpy(), rows["private"].to_numpy()
    lines = [
        f"{len(rows)} tokens of {rows['answer'].nunique()} answers about {len(np.unique(people))} people; "
        f"{private.mean():.0%} are in spans. The model gives the true token {rows['vanilla'].mean():.2f} on average.",
        "",
        "| score | AUC | AUC, of a span its first token alone |",
        "|---|---|---|",
    ]
    before = rows.groupby("answer")["private"].shift(fill_value=False).to_numpy(dtype=bool)
    first = ~(private & before)  # a later token of a span is often certain by spelling
    for score, words in SCORES.items():
        values = rows[score].to_numpy()
        cells = [_figure(with_interval(people[of], auc, values[of], private[of])) for of in (first | True, first)]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    lines += ["", "| score | mark | tokens marked | precision | recall |", "|---|---|---|---|---|"]
    marks = [(words, mark, f"{score} {mark}") for score, words in SCORES.items() for mark in MARKS]
    for words, mark, column in [*marks, ("–", "private values named in the data", "known")]:
        value = with_interval(people, precision_recall, rows[column].to_numpy(), private)
        cells = [f"{rows[column].mean():.0%}", _figure(value[:, 0]), _figure(value[:, 1])]
        lines.append(f"| {words} | {mark} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_tables(measured: Mapping[str, pd.DataFrame], out: Path) -> str:
    """Write the tables of the rows that were measured, by heading, and return them."""
    text = "# Scores and marks of key tokens on hand-marked answers\n"
    text += "".join(f"\n## {heading}\n\n{tables(rows)}" for heading, rows in measured.items())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return text


def _figure(value: np.ndarray) -> str:
    return "–" if np.isnan(value[0]) else "{:.2f} [{:.2f}, {:.2f}]".format(*value)
