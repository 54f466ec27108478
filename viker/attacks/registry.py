"""All attacks by name, in the order in which they are made."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from viker.attacks import (
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
from viker.attacks.rates import COLUMNS
from viker.attacks.settings import AttacksParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, block, empty_block
from viker.attacks.targets import NotApplicable, Targets
from viker.core.run_store import RunStore

Attack = Callable[[Subject, Targets, Any, int], Attacked]
ATTACKS: dict[str, Attack] = {
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
    subjects: Sequence[Subject], targets: Targets, params: AttacksParams, seed: int, kept: RunStore | None = None
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """Make every attack that is enabled on every subject; one that is among ``kept`` isn't made again.

    Returns:
        for each subject's name the block of each attack (see ``table.block``), and all rows, with the columns
        ``model`` and ``attack`` besides those of ``table.row``.
    """
    blocks: dict[str, dict[str, Any]] = {subject.name: {} for subject in subjects}
    tables = []
    for name, run in ATTACKS.items():
        settings = getattr(params, name)
        for subject in subjects if settings.enabled else ():

            def compute(name: str = name, run: Attack = run, subject: Subject = subject) -> dict[str, Any]:
                return _made(name, run, subject, targets, getattr(params, name), seed)

            of = ("attack", name, subject.name, settings.model_dump(mode="json"))
            found = compute() if kept is None else kept.result(of, compute)
            blocks[subject.name][name] = found["block"]
            tables += [
                pd.DataFrame(rows, columns=list(COLUMNS)).assign(model=subject.name, attack=attack)
                for attack, rows in found["rows"].items()
            ]
    columns = [*COLUMNS, "model", "attack"]
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return blocks, rows.astype({"leaked": bool, "chance": float})


def _made(name: str, run: Attack, subject: Subject, targets: Targets, settings: Any, seed: int) -> dict[str, Any]:
    """Return the ``block`` of an attack and its ``rows`` by what they are called, as JSON can hold them."""
    try:
        attacked = run(subject, targets, settings, seed)
    except NotApplicable as missing:
        return {"block": empty_block(str(missing)), "rows": {}}
    tables = {name: attacked.rows, **attacked.others}
    rows = {called: table[list(COLUMNS)].to_numpy(dtype=object).tolist() for called, table in tables.items()}
    return {"block": block(attacked, seed), "rows": rows}
