"""The numbers of the attacks, counted again from every reply under attack; without a model."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from viker.attacks.base.attack import Attack, load_attacks
from viker.attacks.base.rates import COLUMNS, RATES, rates
from viker.data.records import SPLITS, Record, read_columns, read_records
from viker.gate.judge import Result, recounted
from viker.metrics.base.private_values import judged
from viker.metrics.leakage import leaks

MODELS = ("vanilla", "unlearned")
_QUESTION = ("record_id", "variant", "picture", "question")
"""The columns that say what was asked."""
_TOLERANCE = 1e-9


def recount_attacks(metrics: Mapping[str, Any], prepared: Path, attacks: Path, seed: int) -> list[Result]:
    """Return whether the attacks' numbers are those of the replies, and both models were attacked alike.

    Counted again are rates, ``samples``, ``people``, ``variants`` and intervals of every attack, and its
    ``side_blocks``; not its own numbers besides, such as the curves of relearning.

    ``seed``: of params.yaml, by which people are drawn for the intervals.

    Raises UserError: the data or the replies are missing or can't be read.
    """
    known = load_attacks()
    rows = read_columns(attacks, [*COLUMNS, "model", "attack"], "evaluate").to_pandas()
    splits = judged({split: read_records(prepared, split) for split in SPLITS})
    records = {record.id: record for record in splits["forget"]}
    problems = []
    if strangers := set(rows["record_id"]) - set(records):
        problems.append(f"{len(strangers)} questions are not among the data's about forget people")
    owners = {table: attack for attack in known.values() for table in attack.tables}
    if unknown := sorted(set(rows["attack"]) - set(owners)):
        problems.append(f"there are replies under {', '.join(unknown)}, which no installed attack makes")
    rows = rows[rows["record_id"].isin(list(records)) & rows["attack"].isin(list(owners))]
    rows = _recounted_rows(rows, records, owners)
    problems += _asked_differently(rows)
    for model in MODELS:
        tables = {str(table): part for table, part in rows[rows["model"] == model].groupby("attack")}
        for name, block in _mapping(_mapping(metrics.get(model)).get("attacks")).items():
            path = f"{model}.attacks.{name}"
            if name in known:
                problems += _block_differences(path, _mapping(block), known[name], tables, seed)
            else:
                problems.append(f"{path} is of no installed attack")
    text = "attack numbers are those of the replies under attack, counted again"
    return [recounted(text, problems, f"{len(rows)} replies.", "Attacks that were edited and sealed again.")]


def _block_differences(
    path: str, block: Mapping[str, Any], attack: Attack, tables: Mapping[str, pd.DataFrame], seed: int
) -> Iterator[str]:
    """Yield each number of an attack's block, and of its side blocks, that was not counted so."""
    counted = rates(tables[attack.name], seed) if attack.name in tables else {}
    names = (*RATES, "samples", "people", "intervals", "variants")
    yield from _differences(path, {name: block[name] for name in names if name in block}, counted)
    for side in attack.side_blocks:
        if side.name in block:
            counted = side.count(tables, seed) if set(side.tables) <= set(tables) else {}
            yield from _differences(f"{path}.{side.name}", _mapping(block[side.name]), counted)


def _differences(path: str, block: Mapping[str, Any], counted: Mapping[str, Any]) -> Iterator[str]:
    """Yield each number of ``block`` that is not in ``counted``; without replies it may have none but zero counts."""
    for name, value in block.items():
        again = counted.get(name)
        if isinstance(value, Mapping):
            yield from _differences(f"{path}.{name}", value, _mapping(again))
        elif not (_same(value, again) or (not counted and name in ("samples", "people") and value == 0)):
            yield f"{path}.{name} is {_quoted(value)}, counted {_quoted(again)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(value: Any, again: Any) -> bool:
    if isinstance(value, list | tuple) and isinstance(again, list | tuple):
        return len(value) == len(again) and all(map(_same, value, again))
    if value is None or again is None:
        return value is again
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, again))
    return numbers and math.isclose(value, again, abs_tol=_TOLERANCE)


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return f"{value:.4g}" if isinstance(value, int | float) else "none"


def _asked_differently(rows: pd.DataFrame) -> Iterator[str]:
    """Yield which attacks asked one model other questions than the other."""
    for table, part in rows.groupby("attack"):
        vanilla, unlearned = (
            sorted(zip(*(part[part["model"] == model][column] for column in _QUESTION), strict=True))
            for model in MODELS
        )
        if vanilla != unlearned:
            yield f"{table} asked the two models different questions"


def _recounted_rows(rows: pd.DataFrame, records: Mapping[str, Record], owners: Mapping[str, Attack]) -> pd.DataFrame:
    """Return the rows with person, ``leaked`` and ``chance`` as they follow from the data and the replies."""
    row_records = [records[name] for name in rows["record_id"]]
    row_replies = [list(map(str, replies)) for replies in rows["replies"]]
    pairs = zip(row_records, row_replies, strict=True)
    leaked = [any(leaks(reply, record.secrets) for reply in replies) for record, replies in pairs]
    chances = [
        owners[table].recount_chance(record, replies, chance)
        for table, record, replies, chance in zip(rows["attack"], row_records, row_replies, rows["chance"], strict=True)
    ]
    people = [record.person_id for record in row_records]
    return rows.assign(person_id=people, leaked=pd.Series(leaked, rows.index, dtype=bool), chance=chances)
