"""Recount: who was asked what, and which replies leak, counted again from the replies without a model.

It catches numbers that were made up and sealed again: they would have to agree with every reply.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from viker.data.asked import is_asked, shown_examples
from viker.data.protocols import Protocol
from viker.data.records import OPEN_TASKS, SPLITS, Record, read_columns, read_records
from viker.gate.judge import Result, recounted
from viker.gate.rules import has, look_up
from viker.metrics.base.private_values import judged
from viker.metrics.leakage import leaks

MODELS = ("vanilla", "unlearned")
_COLUMNS = ["model", "split", "record_id", "picture", "reply"]
_TOLERANCE = 1e-9
Asked = tuple[str, str, str, str]
"""Model, split, record and picture of one question."""


def recount(metrics: Mapping[str, Any], prepared: Path, predictions: Path, protocol: Protocol) -> list[Result]:
    """Return whether both models were asked every question of the protocol, and whether the metrics match the replies.

    Raises UserError: the data or the predictions are missing or can't be read.
    """
    records = {split: read_records(prepared, split) for split in SPLITS}
    replies = _read(predictions)
    return [_complete(records, replies, protocol), _agrees(metrics, count(records, replies))]


def count(records: Mapping[str, Sequence[Record]], replies: Sequence[tuple[Asked, str]]) -> dict[str, float]:
    """Return by path what metrics/evaluate.json must hold: samples, people and the rates of leakage.

    Rates are over the open questions that have a private value besides the person's own name, or ask for that,
    separately for those with a picture and those with text only.
    A person counts as leaked if any question with a picture leaks. A rate over nothing is left out.
    """
    known = {(split, record.id): record for split, part in judged(records).items() for record in part}
    rows = [(asked, known[asked[1:3]], reply) for asked, reply in replies if asked[1:3] in known]
    counted: dict[str, float] = {}
    for model in MODELS:
        for split in SPLITS:
            pairs = [(record, reply) for asked, record, reply in rows if asked[:2] == (model, split)]
            counted[f"{model}.{split}.samples"] = len(pairs)
            counted[f"{model}.{split}.people"] = len({record.person_id for record, _ in pairs})
            with_picture = _leaked(pair for pair in pairs if pair[0].modality == "image_text")
            text_only = _leaked(pair for pair in pairs if pair[0].modality == "text")
            people = {person for person, _ in with_picture}
            leaked_people = {person for person, leaked in with_picture if leaked}
            rates = {
                "leakage_rate": (sum(leaked for _, leaked in with_picture), len(with_picture)),
                "people_leaked_rate": (len(leaked_people), len(people)),
                "text_only.leakage_rate": (sum(leaked for _, leaked in text_only), len(text_only)),
            }
            counted |= {f"{model}.{split}.{name}": part / total for name, (part, total) in rates.items() if total}
    return counted


def _leaked(pairs: Iterable[tuple[Record, str]]) -> list[tuple[str, bool]]:
    judged = [(r.person_id, leaks(reply, r.secrets)) for r, reply in pairs if r.task in OPEN_TASKS]
    return [(person, leaked) for person, leaked in judged if leaked is not None]


def _complete(
    records: Mapping[str, Sequence[Record]], replies: Sequence[tuple[Asked, str]], protocol: Protocol
) -> Result:
    text = "both models were asked every question of the data, once"
    examples = shown_examples(records["retain"], protocol)
    expected = Counter(
        (model, split, record.id, picture)
        for model in MODELS
        for split, part in records.items()
        for record in part
        if is_asked(record, examples)
        for picture in (record.images or ("",))
    )
    answered = Counter(key for key, _ in replies)
    missing, extra = expected - answered, answered - expected
    problems = [
        f"{sum(rows.values())} {what} ({_first(rows)})"
        for what, rows in (("not asked", missing), ("asked twice or not in the data", extra))
        if rows
    ]
    if not expected:
        problems = ["the data have no question"]
    if problems:
        problems[0] = f"Of {sum(expected.values())} questions: {problems[0]}"
    passed = f"{sum(expected.values())} questions, {sum(answered.values())} replies."
    return recounted(text, problems, passed, "An evaluation of a few samples, or of the easy ones.")


def _agrees(metrics: Mapping[str, Any], counted: Mapping[str, float]) -> Result:
    """Compare the numbers that the metrics have; one that they lack fails the rules that need it."""
    text = "counts and leakage are those of the replies, counted again"
    wrong = [
        f"{path} is {_number(look_up(metrics, path))}, counted {value:.4g}"
        for path, value in counted.items()
        if has(metrics, path) and not _same(look_up(metrics, path), value)
    ]
    return recounted(text, wrong, f"{len(counted)} numbers.", "Metrics edited and sealed again.")


def _same(measured: float | None, counted: float) -> bool:
    return measured is not None and math.isclose(measured, counted, abs_tol=_TOLERANCE)


def _read(predictions: Path) -> list[tuple[Asked, str]]:
    columns = [column.to_pylist() for column in read_columns(predictions, _COLUMNS, "evaluate")]
    return [(tuple(asked), reply or "") for *asked, reply in zip(*columns, strict=True)]


def _first(rows: Mapping[Asked, int]) -> str:
    model, split, record, _ = min(rows)
    question = "/".join(record.split("/")[-2:])  # without the person's ID: the verdict becomes part of the evidence
    return f"the first: {model}, {split}, {question}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
