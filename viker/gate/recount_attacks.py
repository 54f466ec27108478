"""The numbers of the attacks, counted again from every reply under attack; without a model."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from viker.attacks.base.attack import Attack, load_attacks
from viker.attacks.base.rates import COLUMNS, RATES, fact_of, rates
from viker.attacks.base.rehearsal import SilentSubject, columns_of, questions_of
from viker.attacks.base.targets import Targets, read_targets
from viker.core.errors import UserError
from viker.data.records import Record, read_columns, read_pictures
from viker.evaluation.settings import EvaluateParams
from viker.gate.integrity import ATTACKS_COUNTED
from viker.gate.judge import Result, recounted

MODELS = ("vanilla", "unlearned")
_TOLERANCE = 1e-9


def recount_attacks(
    metrics: Mapping[str, Any], prepared: Path, attacks: Path, params: EvaluateParams, seed: int, adapter_sha256: str
) -> list[Result]:
    """Return whether the attacks asked all that they had to, and their numbers are those of the replies.

    What an attack asks follows from the data, its settings, the seed and the adapter's hash, and is the same for both
    models; of an adaptive one it follows from the model's replies too.

    Counted again are rates, ``samples``, ``people``, ``variants`` and intervals of every attack, and its
    ``side_blocks``; not its own numbers besides, such as the curves of relearning.

    ``params``, ``seed``: of params.yaml; ``adapter_sha256``: of the adapter, by which the random attack draws.

    Raises UserError: the data or the replies are missing or can't be read.
    """
    known = load_attacks()
    rows = read_columns(attacks, [*COLUMNS, "model", "attack"], "evaluate").to_pandas()
    targets = read_targets(prepared)
    records = {record.id: record for record in targets.forget}
    problems = _other_settings(metrics, params)
    if strangers := set(rows["record_id"]) - set(records):
        problems.append(f"{len(strangers)} questions are not among the data's about forget people")
    owners = {table: attack for attack in known.values() for table in attack.tables}
    if unknown := sorted(set(rows["attack"]) - set(owners)):
        problems.append(f"there are replies under {', '.join(unknown)}, which no installed attack makes")
    rows = rows[rows["record_id"].isin(list(records)) & rows["attack"].isin(list(owners))]
    rows = _recounted_rows(rows, records, owners)
    try:
        silent = SilentSubject(read_pictures(prepared), adapter_sha256)
        problems += _not_as_due(rows, targets, silent, params, seed)
    except UserError as error:
        problems.append(f"what had to be asked can't be told: {error}")
    for model in MODELS:
        tables = {str(table): part for table, part in rows[rows["model"] == model].groupby("attack")}
        for name, block in _mapping(_mapping(metrics.get(model)).get("attacks")).items():
            path = f"{model}.attacks.{name}"
            if name in known:
                problems += _block_differences(path, _mapping(block), known[name], tables, seed)
            else:
                problems.append(f"{path} is of no installed attack")
    return [recounted(ATTACKS_COUNTED, problems, f"{len(rows)} replies.", "Attacks that were edited and sealed again.")]


def _block_differences(
    path: str, block: Mapping[str, Any], attack: Attack, tables: Mapping[str, pd.DataFrame], seed: int
) -> Iterator[str]:
    """Yield each number of an attack's block, and of its side blocks, that was not counted so."""
    counted = rates(tables[attack.name], seed) if attack.name in tables else {}
    names = (*RATES, "samples", "people", "intervals", "variants")
    yield from differences(path, {name: block[name] for name in names if name in block}, counted)
    for side in attack.side_blocks:
        if side.name in block:
            counted = side.count(tables, seed) if set(side.tables) <= set(tables) else {}
            yield from differences(f"{path}.{side.name}", _mapping(block[side.name]), counted)


def differences(path: str, block: Mapping[str, Any], counted: Mapping[str, Any]) -> Iterator[str]:
    """Yield each number of ``block`` that is not in ``counted``; without replies it may have none but zero counts."""
    for name, value in block.items():
        again = counted.get(name)
        if isinstance(value, Mapping):
            yield from differences(f"{path}.{name}", value, _mapping(again))
        elif not (_same(value, again) or (not counted and name in ("samples", "people") and value == 0)):
            yield f"{path}.{name} is {_quoted(value)}, counted {_quoted(again)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(value: Any, again: Any) -> bool:
    if isinstance(value, list | tuple) and isinstance(again, list | tuple):
        return len(value) == len(again) and all(map(_same, value, again))
    if value is None or again is None or isinstance(value, str):
        return bool(value == again)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, again))
    return numbers and math.isclose(value, again, abs_tol=_TOLERANCE)


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return f"{value:.4g}" if isinstance(value, int | float) else "none"


def _other_settings(metrics: Mapping[str, Any], params: EvaluateParams) -> list[str]:
    """Return whether the metrics name other settings than params.yaml, which a policy would be held to."""
    same = "settings" not in metrics or metrics["settings"] == params.figures()
    return [] if same else ["the settings of the attacks are not those of params.yaml"]


def _not_as_due(
    rows: pd.DataFrame, targets: Targets, silent: SilentSubject, params: EvaluateParams, seed: int
) -> Iterator[str]:
    """Yield which attacks asked a model something else than they had to."""
    known = load_attacks()
    for name, settings in params.attacks.items():
        if not settings.enabled:
            continue
        attack = known[name]
        due = {} if attack.adaptive else questions_of(attack, silent, targets, settings, seed)
        for model in MODELS:
            written = rows[rows["attack"].isin(attack.tables) & (rows["model"] == model)]
            if attack.adaptive:
                due = questions_of(attack, silent.saying(written), targets, settings, seed)
            for table, questions in due.items():
                part = written[written["attack"] == table]
                asked = Counter(zip(*(part[column] for column in columns_of(attack)), strict=True))
                if asked != questions:
                    missing, extra = (sum(more.values()) for more in (questions - asked, asked - questions))
                    most = sum(questions.values())
                    yield f"{table} of {model} lacks {missing} of {most} questions and has {extra} others"


def _recounted_rows(rows: pd.DataFrame, records: Mapping[str, Record], owners: Mapping[str, Attack]) -> pd.DataFrame:
    """Return the rows with person, fact, ``leaked``, ``leaks`` and ``chance`` as they follow from data and replies."""
    row_records = [records[name] for name in rows["record_id"]]
    row_replies = [list(map(str, replies)) for replies in rows["replies"]]
    pairs = zip(row_records, row_replies, strict=True)
    leaking = [
        sum(bool(owners[table].leaks(reply, record.secrets)) for reply in replies)
        for table, (record, replies) in zip(rows["attack"], pairs, strict=True)
    ]
    chances = [
        owners[table].recount_chance(table, record, replies, chance)
        for table, record, replies, chance in zip(rows["attack"], row_records, row_replies, rows["chance"], strict=True)
    ]
    people, facts = ([of(record) for record in row_records] for of in (attrgetter("person_id"), fact_of))
    counts = pd.Series(leaking, rows.index, dtype=int)
    return rows.assign(person_id=people, fact=facts, leaked=counts > 0, leaks=counts, chance=chances)
