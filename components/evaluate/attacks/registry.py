"""All attacks by name, in the order in which they are made."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from components.common.attack_params import AttacksParams
from components.evaluate.attacks import (
    few_shot,
    multiple_choice,
    other_pictures,
    paraphrase,
    picture_changes,
    prefix,
    probe,
    quantised,
    relearn,
    sampling,
    text_only,
    typographic,
)
from components.evaluate.attacks.subject import Subject
from components.evaluate.attacks.table import Attacked, block, empty_block
from components.evaluate.attacks.targets import NotApplicable, Targets

ATTACKS: dict[str, Callable[[Subject, Targets, Any, int], Attacked]] = {
    "paraphrase": paraphrase.run,
    "picture_changes": picture_changes.run,
    "other_pictures": other_pictures.run,
    "text_only": text_only.run,
    "prefix": prefix.run,
    "multiple_choice": multiple_choice.run,
    "sampling": sampling.run,
    "few_shot": few_shot.run,
    "typographic": typographic.run,
    "quantised_int8": quantised.run_int8,
    "quantised_int4": quantised.run_int4,
    "relearn_forget": relearn.run_forget,
    "relearn_retain": relearn.run_retain,
    "probe": probe.run,
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
