"""Accuracy on questions with one right choice: a letter, or the words of a gap."""

from viker.metrics.base.metric import FORGOTTEN, Metric


def classification_correct(reply: str, letter: str) -> bool:
    """Return whether the reply picks the option ``letter``: its first character, upper-cased.

    A reply that starts with no letter is wrong, not missing; guessing among four options gives 0.25.
    Source: MLLMU-Bench.
    """
    first = reply.strip()[:1].upper()
    return first.isalpha() and first == letter.strip().upper()


def cloze_correct(reply: str, truth: str) -> bool:
    """Return whether the missing words occur in the reply, whatever their case; an empty truth never does.

    Source: MLLMU-Bench.
    """
    wanted = truth.strip().casefold()
    return bool(wanted) and wanted in reply.casefold()


CLASSIFICATION_ACCURACY = Metric(
    name="classification_accuracy",
    heading="Classification",
    meaning="right letters: the reply's first character; guessing among four gives 0.25",
    source="MLLMU-Bench",
    better=FORGOTTEN,
    computed_from="labels",
    tasks=("classification",),
    of_reply=lambda reply: classification_correct(reply.text, reply.option),
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
