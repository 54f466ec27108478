"""What an attack asks, found without a model: it is run with a subject that says nothing, or what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from viker.attacks.base.outcome import Outcome
from viker.attacks.base.targets import NotApplicable

if TYPE_CHECKING:
    import pandas as pd

    from viker.attacks.base.attack import Attack, AttackSettings
    from viker.attacks.base.targets import Targets
    from viker.data.samples import Sample

QUESTION = ("record_id", "variant", "picture", "question")
"""The columns that say what was asked."""


@dataclass(frozen=True)
class SilentSubject:
    """Stands for the model where only the questions matter: every reply is ``reply``, and all are equally likely.

    ``said``: replies that a model gave, by record, picture and question, which are repeated.
    """

    pictures: Mapping[str, bytes]
    adapter_sha256: str
    reply: str = ""
    name: str = "nobody"
    said: Mapping[tuple[str, str, str], str] = field(default_factory=dict, kw_only=True)
    adapter_on: bool = field(default=False, kw_only=True)
    encoder: Any = field(init=False)

    def __post_init__(self) -> None:
        """Show the pictures where attacks look for them."""
        object.__setattr__(self, "encoder", SimpleNamespace(pictures=self.pictures))

    def with_pictures(self, pictures: Mapping[str, bytes]) -> SilentSubject:
        """Return itself: it sees none."""
        return self

    def saying(self, rows: pd.DataFrame) -> SilentSubject:
        """Return a subject that repeats the replies of an attack's rows."""
        keys = zip(rows["record_id"], rows["picture"], rows["question"], strict=True)
        return replace(self, said=dict(zip(keys, rows["reply"], strict=True)))

    def replies(self, samples: Sequence[Sample], label: str) -> list[str]:
        """Return the reply to each sample."""
        return [self.said.get((s.record_id, s.picture, s.asked), self.reply) for s in samples]

    def drawn_replies(
        self, samples: Sequence[Sample], temperature: float, count: int, seed: int, label: str
    ) -> list[list[str]]:
        """Return ``count`` times the reply to each sample."""
        return [[self.reply] * count for _ in samples]

    def likelihoods(self, samples: Sequence[Sample]) -> list[float]:
        """Return the same of each sample."""
        return [0.0] * len(samples)


def rehearsed(attack: Attack, subject: SilentSubject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Return the outcome of an attack on ``subject``. Raises NotApplicable: as the attack does."""
    return attack.run(subject, targets, settings, seed)  # type: ignore[arg-type]  # stands in for it


def questions_of(
    attack: Attack, subject: SilentSubject, targets: Targets, settings: AttackSettings, seed: int
) -> dict[str, Counter[tuple[str, ...]]]:
    """Return by table what an attack asks and how often: ``columns_of`` of its rows.

    Of its own table nothing where the data don't allow the attack.
    """
    try:
        if attack.expected:
            return {attack.name: Counter((record.id,) for record in attack.expected(targets, settings, seed))}
        outcome = rehearsed(attack, subject, targets, settings, seed)
    except NotApplicable:
        return {attack.name: Counter()}
    tables = {attack.name: outcome.rows, **outcome.side_rows}
    return {name: Counter(zip(*(rows[c] for c in QUESTION), strict=True)) for name, rows in tables.items()}


def columns_of(attack: Attack) -> tuple[str, ...]:
    """Return the columns by which an attack's questions are known: of one with ``expected`` the record alone."""
    return ("record_id",) if attack.expected else QUESTION
