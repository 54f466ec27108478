"""An attack as a plug-in: ``Attack`` says what it is called, what it does, its settings and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from viker.attacks.base.rates import guessing_chance
from viker.attacks.base.targets import OPEN_QUESTION
from viker.core.plugins import load_plugins
from viker.core.settings import Positive, Section
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    import pandas as pd

    from viker.attacks.base.outcome import Outcome
    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets
    from viker.data.records import Record


class AttackSettings(Section):
    """What every attack can be told; its own settings are a subclass in its file, with a default for each field."""

    enabled: bool = True
    """Whether it is made; an attack that ``evaluate.attacks`` doesn't mention is not made."""
    questions: Positive = 200
    """The most questions that are attacked, drawn by the seed and spread over the people."""


@dataclass(frozen=True)
class SideBlock:
    """Numbers of an attack that are counted from some of its tables of rows: ``name`` in its block of the metrics.

    ``tables``: what stands in the column ``attack`` of those rows. ``count`` makes the numbers from these tables and
    the seed: for the metrics, and again in the gate.
    """

    name: str
    tables: tuple[str, ...]
    count: Callable[[Mapping[str, pd.DataFrame], int], dict[str, Any]]


@dataclass(frozen=True)
class Attack:
    """One way to question both models.

    Attributes:
        name: its key in ``evaluate.attacks`` of params.yaml, in the metrics, and in evaluation/attacks.parquet.
        heading: what tables and figures call it.
        run: questions a subject about the targets with the attack's settings and a seed, which decide the outcome.
            It raises ``NotApplicable`` where the data lack what the attack needs.
        settings: the type of its section of ``evaluate.attacks``.
        needs: what the data must have, to complete "the data have no …".
        leaks: whether a reply has one of some private values; None without any.
        recount_chance: what guessing gives for one row, from the name of its table, its record, its replies and the
            chance that was written. The gate takes nothing as written that it can count.
        side_blocks: numbers that are counted from the tables of rows that they name.
        expected: of an attack that needs the model to find its questions: the records that it asks about, from its
            targets, settings and the seed. None: what it asks follows from ``run`` with a subject that says nothing,
            see ``rehearsal``.
        drawn_by_adapter: whether what it asks depends on ``Subject.adapter_sha256``, so that even the vanilla model
            can't be asked before the adapter is there.
        adaptive: whether what it asks depends on the model's replies too: it is rehearsed with those that were written.
    """

    name: str
    heading: str
    run: Callable[[Subject, Targets, Any, int], Outcome]
    settings: type[AttackSettings] = AttackSettings
    needs: str = OPEN_QUESTION
    leaks: Callable[[str, Sequence[str]], bool | None] = leaks
    recount_chance: Callable[[str, Record, Sequence[str], float], float] = lambda _, row, said, __: guessing_chance(
        row, said
    )
    side_blocks: tuple[SideBlock, ...] = ()
    expected: Callable[[Targets, Any, int], Sequence[Record]] | None = None
    drawn_by_adapter: bool = False
    adaptive: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """Return all that may stand in the column ``attack`` of its rows."""
        tables = (self.name, *(table for block in self.side_blocks for table in block.tables))
        return tuple(dict.fromkeys(tables))


def load_attacks() -> dict[str, Attack]:
    """Return all attacks by name: those of ``viker.attacks`` and of the entry-point group of the same name."""
    return load_plugins("viker.attacks", Attack)
