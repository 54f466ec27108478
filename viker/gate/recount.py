"""Recount: who was asked what, and all that follows from the replies, counted again without a model.

It catches numbers that were made up and sealed again: they would have to agree with every reply, and those of general
ability with every answer that was chosen.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from viker.data.protocols import Protocol
from viker.data.records import SPLITS, UNSEEN, read_columns
from viker.evaluation.general_ability import KINDS, NAME, count_ability, general_questions
from viker.evaluation.questions import Question, read_questions
from viker.evaluation.rows import row, usual_in
from viker.gate.integrity import COMPLETE, COUNTED
from viker.gate.judge import Result, recounted
from viker.gate.rules import finite, has
from viker.metrics.base.aggregate import measure_both
from viker.metrics.base.catalogue import metrics_of

MODELS = ("vanilla", "unlearned")
_COLUMNS = ["model", "split", "record_id", "picture", "reply"]
_TOLERANCE = 1e-9
_OF_SPLIT = ("samples", "people", "measurable_rate", "measurable_people_rate", "kept", "information")
"""What a split's block has besides metrics and ``text_only``, all of it counted again."""
Asked = tuple[str, str, str, str]
"""Model, split, record and picture of one question."""


def recount(
    metrics: Mapping[str, Any], prepared: Path, predictions: Path, protocol: Protocol, seed: int
) -> list[Result]:
    """Return whether both models were asked every question of the protocol, and whether the metrics match the replies.

    ``seed``: of params.yaml, by which intervals are drawn and replies permuted.

    Raises UserError: the data or the predictions are missing or can't be read.
    """
    questions = [question for question in read_questions(prepared, protocol) if question.split != UNSEEN]
    replies = _read(predictions)
    return [_complete(questions, replies), _agrees(metrics, questions, replies, seed)]


def count(questions: Sequence[Question], replies: Mapping[Asked, str], seed: int) -> dict[str, Any]:
    """Return what ``measure_both`` makes of the replies to ``questions``, as far as it needs no model.

    That is, of metrics from likelihoods only the part that follows from the reply's text: ``gibberish_rate`` without
    what the vanilla model finds surprising, so that it is the least that the true one can be.
    """
    usual = usual_in(questions, math.inf)
    tables = {}
    for model in MODELS:
        answered = [(q, replies[key]) for q in questions if (key := _key(model, q)) in replies]
        tables[model] = pd.DataFrame([row(model, question, reply, [], None, usual) for question, reply in answered])
    return measure_both(tables, seed) if all(map(len, tables.values())) else {}


def _complete(questions: Sequence[Question], replies: Sequence[tuple[Asked, str]]) -> Result:
    expected = Counter(_key(model, question) for model in MODELS for question in questions)
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
    return recounted(COMPLETE, problems, passed, "An evaluation of a few samples, or of the easy ones.")


def _agrees(
    metrics: Mapping[str, Any], questions: Sequence[Question], replies: Sequence[tuple[Asked, str]], seed: int
) -> Result:
    """Compare the numbers that the metrics have; one that they lack fails the rules that need it."""
    compared, wrong = 0, []
    for path, again, least in (*numbers_of(count(questions, dict(replies), seed)), *_ability(metrics)):
        if not has(metrics, path):
            continue
        compared += 1
        found: Any = metrics
        for part in path.split("."):
            found = found[part]
        number = finite(found)
        enough = least and again is not None and number is not None and number >= again - _TOLERANCE
        if not (enough or _same(found, again)):
            wrong.append(f"{path} is {_quoted(found)}, counted {'at least ' if least else ''}{_quoted(again)}")
    return recounted(COUNTED, wrong, f"{compared} numbers.", "Metrics edited and sealed again.")


def _ability(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield the numbers of general ability as they follow from the answers that were chosen; None without them."""
    chosen = {model: str(((metrics.get(model) or {}).get(NAME) or {}).get("choices")) for model in MODELS}
    whole = {len(choices) for choices in chosen.values()} == {len(general_questions())}
    for model, choices in chosen.items():
        counted = count_ability(choices, chosen["vanilla"]) if whole else dict.fromkeys(("accuracy", *KINDS))
        for name, again in counted.items():
            if name != "choices":
                yield from _leaves(f"{model}.{NAME}.{name}", again)


def numbers_of(counted: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield by path what must be in the metrics, and whether it is only the least that it can be."""
    for model, block in counted.items():
        for split in SPLITS:
            for name in _OF_SPLIT:
                yield from _leaves(f"{model}.{split}.{name}", block[split].get(name, {}))
            for below in ("", ".text_only"):
                of_metrics = block[split]["text_only"] if below else block[split]
                yield from _of_block(f"{model}.{split}{below}", of_metrics, "split")
        yield from _of_block(f"{model}.fluency", block["fluency"], "fluency")


def _of_block(path: str, block: Mapping[str, Any], kind: Any) -> Iterator[tuple[str, Any, bool]]:
    for metric in metrics_of(kind):
        if metric.computed_from in ("text", "labels"):
            yield f"{path}.{metric.name}", block[metric.name], False
            yield f"{path}.counts.{metric.name}", block["counts"][metric.name], False
            yield f"{path}.intervals.{metric.name}", block["intervals"][metric.name], False
        elif metric.name == "gibberish_rate" and block[metric.name] is not None:
            yield f"{path}.{metric.name}", block[metric.name], True


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}", part)
    else:
        yield path, value, False


def _same(measured: Any, counted: Any) -> bool:
    if isinstance(counted, list):
        return isinstance(measured, list) and len(measured) == len(counted) and all(map(_same, measured, counted))
    if counted is None or finite(measured) is None:
        return counted is measured
    return math.isclose(measured, counted, abs_tol=_TOLERANCE)


def _key(model: str, question: Question) -> Asked:
    return model, question.split, question.record.id, question.sample.picture


def _read(predictions: Path) -> list[tuple[Asked, str]]:
    columns = [column.to_pylist() for column in read_columns(predictions, _COLUMNS, "evaluate")]
    return [(tuple(asked), reply or "") for *asked, reply in zip(*columns, strict=True)]


def _first(rows: Mapping[Asked, int]) -> str:
    model, split, record, _ = min(rows)
    question = "/".join(record.split("/")[-2:])  # without the person's ID: the verdict becomes part of the evidence
    return f"the first: {model}, {split}, {question}"


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return f"{value:.4g}" if isinstance(value, int | float) else "none"
