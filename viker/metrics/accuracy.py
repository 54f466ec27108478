"""Accuracy on questions with one right choice: a letter, one of a list, or the words of a gap."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from viker.metrics.base.metric import FORGOTTEN, Metric
from viker.metrics.base.reply import Reply


def classification_correct(reply: str, letter: str) -> bool:
    """Return whether the reply picks the option ``letter``: its first character, upper-cased.

    A reply that starts with no letter is wrong, not missing; guessing among four options gives 0.25.
    Source: MLLMU-Bench.
    """
    first = reply.strip()[:1].upper()
    return first.isalpha() and first == letter.strip().upper()


def closest(reply: str, options: Sequence[str]) -> str:
    """Return the option that a reply is most like, by the ratio of difflib's SequenceMatcher; of equals the first.

    So a reply that is like none of them chooses the first. Source: UMU-Bench.
    """
    return max(options, key=lambda option: SequenceMatcher(None, reply, option).ratio())


def _chosen(reply: Reply) -> bool:
    if reply.options and not reply.option:
        return closest(reply.text.strip(), reply.options) == reply.answer
    return classification_correct(reply.text, reply.option)


def cloze_correct(reply: str, truth: str) -> bool:
    """Return whether the missing words occur in the reply, whatever their case; an empty truth never does.

    Source: MLLMU-Bench.
    """
    wanted = truth.strip().casefold()
    return bool(wanted) and wanted in reply.casefold()


CLASSIFICATION_ACCURACY = Metric(
    name="classification_accuracy",
    heading="Classification",
    meaning="right choices: of letters, the reply's first character; of a list, the option that the reply is most "
    "like; guessing among four gives 0.25",
    source="MLLMU-Bench; UMU-Bench",
    better=FORGOTTEN,
    computed_from="labels",
    tasks=("classification",),
    of_reply=_chosen,
    column="correct",
    is_flag=True,
    order=60,
    prominence="summary",
)
CLOZE_ACCURACY = Metric(
    name="cloze_accuracy",
    heading="Cloze",
    meaning="gaps filled: the missing words occur in the reply, in any case",
    source="MLLMU-Bench",
    better=FORGOTTEN,
    computed_from="labels",
    tasks=("cloze",),
    of_reply=lambda reply: cloze_correct(reply.text, reply.answer),
    column="correct",
    is_flag=True,
    order=61,
    prominence="summary",
)
