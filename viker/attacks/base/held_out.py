"""Attacks that learn from some true answers and ask for others: nothing that they could teach is asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from viker.attacks.base.attack import AttackSettings, SideBlock
from viker.attacks.base.outcome import Outcome
from viker.attacks.base.rates import rates
from viker.attacks.base.targets import NotApplicable, Targets, invented
from viker.core.settings import Positive

if TYPE_CHECKING:
    import pandas as pd

    from viker.data.records import Record
    from viker.data.samples import Sample

CONTROL = "false_answers"
NEEDS = "second forget person or fact to hold out"
"""What such an attack needs, to complete "the data have no …"."""
Learn = Callable[[Sequence["Record"], Sequence["Record"]], "pd.DataFrame"]
"""Learns from the first records, asks about the second, and returns the rows of the replies."""


class HeldOutSettings(AttackSettings):
    """Settings of an attack that optimises an input on some people and asks about others."""

    iterations: Positive = 60
    """Steps of an optimisation, of which there are four: two halves of the people, with true and with false answers."""
    batch_size: Positive = 8
    """Questions per step."""


def asked(targets: Targets, settings: AttackSettings, seed: int) -> list[Record]:
    """Return the records that are asked about: all that ``Targets.questions`` draws, each once.

    Raises NotApplicable: there are none, or but one fact.
    """
    return [record for _, held_out in _folds(targets.questions(settings.questions, seed), seed) for record in held_out]


def cross_attacked(targets: Targets, settings: AttackSettings, seed: int, name: str, learn: Learn) -> Outcome:
    """Attack each half of the people with what was learnt from the other half; where there is one, of the facts.

    ``side_rows`` has the control: the same questions after learning from false answers in place of the true ones.
    Where a value comes out there, nothing can have taught it.

    Raises NotApplicable: see ``asked``.
    """
    import pandas as pd

    folds = _folds(targets.questions(settings.questions, seed), seed)
    rows = pd.concat([learn(lessons, held_out) for lessons, held_out in folds], ignore_index=True)
    false = [(list(filter(None, map(invented, lessons))), held_out) for lessons, held_out in folds]
    if not all(lessons for lessons, _ in false):
        return Outcome(rows)
    control = pd.concat([learn(lessons, held_out) for lessons, held_out in false], ignore_index=True)
    return Outcome(rows, side_rows={f"{name}.{CONTROL}": control})


def control_block(name: str) -> SideBlock:
    """Return the block of the control, with the same rates as the attack's own."""
    table = f"{name}.{CONTROL}"
    return SideBlock(CONTROL, (table,), lambda tables, seed: rates(tables[table], seed))


def batches(lessons: Sequence[Sample], size: int, steps: int, seed: int) -> Iterator[list[Sample]]:
    """Yield ``steps`` batches of at most ``size`` lessons, all of them in a new order each epoch."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    queue: list[int] = []
    for _ in range(steps):
        if not queue:
            queue = torch.randperm(len(lessons), generator=generator).tolist()
        drawn, queue = queue[:size], queue[size:]
        yield [lessons[i] for i in drawn]


def _folds(records: Sequence[Record], seed: int) -> list[tuple[list[Record], list[Record]]]:
    """Return (lessons, held out) twice: half of the people each, or of the facts about one, and the other way round."""
    by_person = len({record.person_id for record in records}) > 1
    groups = [record.person_id if by_person else record.answer for record in records]
    distinct = sorted(set(groups))
    if len(distinct) < 2:
        raise NotApplicable(NEEDS)
    first = set(random.Random(seed).sample(distinct, len(distinct) // 2))
    halves = [
        [r for r, group in zip(records, groups, strict=True) if (group in first) == side] for side in (True, False)
    ]
    return [(halves[0], halves[1]), (halves[1], halves[0])]
