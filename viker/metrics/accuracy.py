"""Accuracy on questions with one right choice: a letter, or the words of a gap."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from viker.data.prompts import LETTERS
from viker.metrics.base.metric import FORGOTTEN, Metric


def classification_correct(reply: str, letter: str, options: Sequence[str] = ()) -> bool:
    """Return whether the reply picks the option ``letter``: by its first character, or among ``options`` by likeness.

    With the texts of the options, the reply counts as the one that ``difflib``'s ratio says it is most like, the first
    of several, whatever the case. A reply that picks none is wrong, not missing; guessing among four gives 0.25.
    Source: MLLMU-Bench for the first character, UMU-Bench for likeness.
    """
    if options:
        ratios = [SequenceMatcher(None, reply.strip().casefold(), text.casefold()).ratio() for text in options]
        return max(ratios) > 0 and ratios.index(max(ratios)) == LETTERS.index(letter)
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
    meaning="right options, by the reply's first character or, under UMU-Bench's protocol, by likeness; guessing: 0.25",
    source="MLLMU-Bench, UMU-Bench",
    better=FORGOTTEN,
    computed_from="labels",
    tasks=("classification",),
    of_reply=lambda reply: classification_correct(reply.text, reply.option, reply.options),
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
