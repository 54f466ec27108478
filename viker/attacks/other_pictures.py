"""Other pictures of the person: does the model forget the person, or one picture? Source: this project."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.core.settings import Positive
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject
    from viker.attacks.base.targets import Targets


class OtherPicturesSettings(AttackSettings):
    """Settings of the attack other_pictures."""

    pictures: Positive = 3
    """The most pictures per question."""


def run(subject: Subject, targets: Targets, settings: OtherPicturesSettings, seed: int) -> Outcome:
    """Ask every question with up to ``settings.pictures`` pictures of the person that are not in the forget set."""
    forget_pictures = {picture for record in targets.forget for picture in record.images}
    other_pictures: dict[str, dict[str, None]] = defaultdict(dict)
    for record in targets.test:
        other_pictures[record.person_id] |= dict.fromkeys(p for p in record.images if p not in forget_pictures)
    attempts = [
        Attempt(record, sample_of(record, picture))
        for record in targets.questions(settings.questions, seed)
        for picture in list(other_pictures[record.person_id])[: settings.pictures]
    ]
    return Outcome(ask(subject, attempts, "other pictures"))


NEEDS = "other picture of a forget person"
OTHER_PICTURES = Attack("other_pictures", "Other pictures", run, OtherPicturesSettings, NEEDS)
