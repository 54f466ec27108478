"""All attacks that params.yaml switches on, made on both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from viker.attacks.base.attack import Attack, AttackSettings, load_attacks
from viker.attacks.base.outcome import empty_block
from viker.attacks.base.rates import COLUMNS, rates
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import NotApplicable, Targets
from viker.core.run_store import RunStore


def run_attacks(
    subjects: Sequence[Subject],
    targets: Targets,
    sections: Mapping[str, AttackSettings],
    seed: int,
    store: RunStore | None = None,
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """Make every enabled attack of ``sections``, in their order, on every subject; what ``store`` has isn't made again,
    and what is another task's share isn't made at all.

    Returns:
        for each subject's name the block of each attack (``rates`` and the attack's own numbers), and the rows of all
        attacks: the columns of ``outcome.reply_row``, ``model`` and ``attack``.
    """
    attacks = load_attacks()
    blocks: dict[str, dict[str, Any]] = {subject.name: {} for subject in subjects}
    tables = []
    for name, settings in sections.items():
        for subject in subjects if settings.enabled else ():
            compute = partial(perform, attacks[name], subject, targets, settings, seed)
            key = ("attack", name, subject.name, settings.model_dump(mode="json"))
            if store is not None and store.leaves_out(key):
                continue
            finished = compute() if store is None else store.result(key, compute)
            blocks[subject.name][name] = finished["block"]
            tables += [
                pd.DataFrame(rows, columns=list(COLUMNS)).assign(model=subject.name, attack=table)
                for table, rows in finished["rows"].items()
            ]
    columns = [*COLUMNS, "model", "attack"]
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return blocks, rows.astype({"leaked": bool, "leaks": int, "chance": float})


def perform(attack: Attack, subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> dict[str, Any]:
    """Return ``block``, the numbers of one attack on one model, and ``rows`` by table; JSON can hold both."""
    try:
        outcome = attack.run(subject, targets, settings, seed)
    except NotApplicable as missing:
        return {"block": empty_block(f"the data have no {str(missing) or attack.needs}"), "rows": {}}
    tables = {attack.name: outcome.rows, **outcome.side_rows}
    block = rates(outcome.rows, seed) | outcome.numbers
    for side in attack.side_blocks:
        if set(side.tables) <= set(tables):
            block[side.name] = side.count(tables, seed)
    rows = {name: table[list(COLUMNS)].to_numpy(dtype=object).tolist() for name, table in tables.items()}
    return {"block": block, "rows": rows}
