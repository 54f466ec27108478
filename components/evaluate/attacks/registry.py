"""All attacks by name, in the order in which they are made."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from components.common.attack_params import AttacksParams
from components.evaluate.attacks import (
    paraphrase,
)
from components.evaluate.attacks.subject import Subject
from components.evaluate.attacks.table import Attacked, block, empty_block
from components.evaluate.attacks.targets import NotApplicable, Targets

ATTACKS: dict[str, Callable[[Subject, Targets, Any, int], Attacked]] = {
    "paraphrase": paraphrase.run,
}
"""Each asks a subject about the targets, with its section of evaluate.attacks and the seed."""


def attack(
    subjects: Sequence[Subject], targets: Targets, params: AttacksParams, seed: int
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """Make every attack that is enabled on every subject.

    Returns:
        for each subject's name the block of each attack (see ``table.block``), and all rows, with the columns
        ``model`` and ``attack`` besides those of ``table.row``.
    """
    blocks: dict[str, dict[str, Any]] = {subject.name: {} for subject in subjects}
    tables = []
    for name, run in ATTACKS.items():
        settings = getattr(params, name)
        for subject in subjects if settings.enabled else ():
            try:
                attacked = run(subject, targets, settings, seed)
            except NotApplicable as missing:
                blocks[subject.name][name] = empty_block(str(missing))
                continue
            blocks[subject.name][name] = block(attacked, seed)
            tables.append(attacked.rows.assign(model=subject.name, attack=name))
    return blocks, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
