"""The numbers of the attacks, counted again from every reply under attack; without a model."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from viker.attacks.rates import BY_LIKELIHOOD, COLUMNS, LEAST_LIKELY, RATES, guessed, rates
from viker.core.errors import UserError
from viker.data.prompts import LETTERS
from viker.data.records import Record, read_records
from viker.gate.judge import Result, requirement
from viker.metrics.leakage import leaks

MODELS = ("vanilla", "unlearned")
CHOICES = ("multiple_choice", BY_LIKELIHOOD, LEAST_LIKELY)
"""Attacks that guessing answers once in so many options, whatever the replies."""
PROBE = "probe"
"""What guessing gives here depends on the other people, and is taken as it stands in the row."""
_TOLERANCE = 1e-9
_SHOWN = 3


def recount_attacks(metrics: Mapping[str, Any], prepared: Path, attacks: Path, seed: int) -> list[Result]:
    """Return whether the attacks' numbers are those of the replies, and both models were attacked alike.

    Counted again are rates, ``samples``, ``people``, ``variants`` and intervals of every attack, and the choices by
    likelihood; not the curves of relearning, nor the chance of the probe.

    Args:
        metrics: metrics/evaluate.json.
        prepared: the prepared data.
        attacks: evaluation/attacks.parquet.
        seed: of params.yaml, by which people are drawn for the intervals.

    Raises:
        UserError: the data or the replies are missing or can't be read.
    """
    rows = _read(attacks)
    records = {record.id: record for record in read_records(prepared, "forget")}
    strange = sorted(set(rows["record_id"]) - set(records))
    rows = _judged(rows[rows["record_id"].isin(list(records))], records)
    wrong = [f"{len(strange)} questions are not among the data's about forget people"] if strange else []
    wrong += _unlike(rows)
    for model in MODELS:
        for name, told in _mapping(_mapping(metrics.get(model)).get("attacks")).items():
            wrong += _compare(rows, model, name, _mapping(told), seed)
    text = "attack numbers are those of the replies under attack, counted again"
    shown = "; ".join(wrong[:_SHOWN]) + (f"; {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
    reason = f"{shown}. Run 'viker evaluate' again." if wrong else f"{len(rows)} replies."
    return [requirement(text, not wrong, reason) | {"protects": "Attacks that were edited and sealed anew."}]


def _compare(rows: pd.DataFrame, model: str, name: str, told: Mapping[str, Any], seed: int) -> Iterator[str]:
    """Yield what an attack's block has otherwise than its replies."""
    path, here = f"{model}.attacks.{name}", dict(iter(rows[rows["model"] == model].groupby("attack")))
    yield from _differing(path, told, rates(here[name], seed) if name in here else {})
    if "by_likelihood" not in told:
        return
    counted = rates(here[BY_LIKELIHOOD], seed) if BY_LIKELIHOOD in here else {}
    if counted and LEAST_LIKELY in here:
        last = rates(here[LEAST_LIKELY], seed)
        counted["least_likely_rate"] = last["leakage_rate"]
        counted["intervals"]["least_likely_rate"] = last["intervals"]["leakage_rate"]
    yield from _differing(f"{path}.by_likelihood", _mapping(told["by_likelihood"]), counted)


def _differing(path: str, told: Mapping[str, Any], counted: Mapping[str, Any]) -> Iterator[str]:
    """Yield each number of a block that was not counted so; without replies it may have none but zero counts."""
    names = (*RATES, "least_likely_rate", "samples", "people")
    flat = [(name, told.get(name), counted.get(name)) for name in names if name in told]
    for group in ("intervals", "variants"):
        found = counted.get(group) or {}
        flat += [(f"{group}.{name}", value, found.get(name)) for name, value in _mapping(told.get(group)).items()]
    for name, value, other in flat:
        if not (_same(value, other) or (not counted and name in ("samples", "people") and value == 0)):
            yield f"{path}.{name} is {_shown(value)}, counted {_shown(other)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(told: Any, counted: Any) -> bool:
    if isinstance(told, list | tuple) and isinstance(counted, list | tuple):
        return len(told) == len(counted) and all(map(_same, told, counted))
    if told is None or counted is None:
        return told is counted
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (told, counted))
    return numbers and math.isclose(told, counted, abs_tol=_TOLERANCE)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:.4g}" if isinstance(value, int | float) else "none"


def _unlike(rows: pd.DataFrame) -> Iterator[str]:
    """Yield which attacks asked one model other questions than the other."""
    for attack, asked in rows.groupby("attack"):
        questions = [
            sorted(zip(*(part[c] for c in ("record_id", "variant", "picture", "question")), strict=True))
            for part in (asked[asked["model"] == model] for model in MODELS)
        ]
        if questions[0] != questions[1]:
            yield f"{attack} asked the two models different questions"


def _judged(rows: pd.DataFrame, records: Mapping[str, Record]) -> pd.DataFrame:
    """Return the rows with person, ``leaked`` and ``chance`` as they follow from the data and the replies."""
    asked = [records[name] for name in rows["record_id"]]
    said = [list(map(str, replies)) for replies in rows["replies"]]
    chances = [
        1 / len(LETTERS) if attack in CHOICES else chance if attack == PROBE else guessed(record, replies)
        for attack, chance, record, replies in zip(rows["attack"], rows["chance"], asked, said, strict=True)
    ]
    leaked = [any(leaks(reply, record.secrets) for reply in own) for record, own in zip(asked, said, strict=True)]
    people = [record.person_id for record in asked]
    return rows.assign(person_id=people, leaked=pd.Series(leaked, rows.index, dtype=bool), chance=chances)


def _read(attacks: Path) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(attacks)
    except FileNotFoundError:
        raise UserError(
            f"{attacks}: no such file. The stage 'evaluate' writes it: run 'viker evaluate' first."
        ) from None
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{attacks}: not readable ({reason}). Run 'viker evaluate' again.") from None
    missing = sorted({*COLUMNS, "model", "attack"} - set(rows.columns))
    if missing:
        raise UserError(f"{attacks}: no columns {missing}. Run 'viker evaluate' again to write it anew.")
    return rows
