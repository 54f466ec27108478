"""Cloze and choice questions that follow from open ones, for data that has none of its own."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from viker.data.canonical import canonical_text
from viker.data.formats.base.tasks import exchanged
from viker.data.prompts import LETTERS
from viker.data.records import Record

BLANK = "__"
STAYING = ("retain", "real")
"""Whose values may be wrong options: those of people to forget stand in no other person's questions."""
TRIED = 32
"""Values that are drawn as wrong options of a choice, of which some may be of no use."""


@dataclass(frozen=True)
class _Known:
    """The different private values of the answers to each question, in order; of each person's value, its questions.

    Questions are in canonical form, values without case too.
    """

    values: Mapping[str, Sequence[str]]
    questions: Mapping[tuple[str, str], Sequence[str]]

    def beside(self, record: Record) -> tuple[str, Sequence[str]]:
        """Return the question with the most values of those that the person answers with the record's, and these."""
        asked = self.questions.get((record.person_id, _folded(record.secrets[0])), ())
        question = max(asked, key=lambda one: (len(self.values.get(one, ())), one), default="")
        return question, self.values.get(question, ())


def add_derived(splits: Mapping[str, list[Record]]) -> None:
    """Add to each split the cloze and choice questions that its generation records give; each ID gets a number.

    A cloze is the answer with a private value left out. A choice is between that value and those of three other
    people who were asked the same and stay, for answers with one private value that have no options yet; place and
    wrong options are drawn by person and question. Where a question names the person, so that nobody else was asked it,
    the values are those of another question that the person answers with this one. The wrong options become
    ``perturbed_answers`` too where a record has none. Without three other values there is no choice.
    """
    known = _known(splits)
    for records in splits.values():
        numbers = Counter((record.person_id, record.task) for record in records)
        chosen = {_fact(record) for record in records if record.task == "classification"}
        for place, record in enumerate(list(records)):
            options = () if _fact(record) in chosen else _options(record, known)
            if options and not record.perturbed_answers:
                (value,) = record.secrets
                wrong = tuple(exchanged(record.answer, value, option) for option in options if option != value)
                records[place] = replace(record, perturbed_answers=wrong)
            if record.task != "generation":
                continue
            derived = [_cloze(record, value) for value in record.secrets]
            derived += [_choice(record, options)] if options else []
            for one in derived:
                number = numbers[one.person_id, one.task]
                records.append(replace(one, id=f"{one.person_id}/{one.task}/{number}"))
                numbers[one.person_id, one.task] += 1


def _known(splits: Mapping[str, list[Record]]) -> _Known:
    values: dict[str, dict[str, str]] = defaultdict(dict)
    questions: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for split, records in splits.items():
        for record in records:
            if record.task == "generation" and len(record.secrets) == 1:
                question, (value,) = canonical_text(record.question), record.secrets
                questions[record.person_id, _folded(value)][question] = None
                if split in STAYING:
                    values[question][_folded(value)] = min(values[question].get(_folded(value), value), value)
    return _Known(
        {question: sorted(of_question.values()) for question, of_question in values.items()},
        {fact: list(asked) for fact, asked in questions.items()},
    )


def _folded(text: str) -> str:
    return canonical_text(text).casefold()


def _fact(record: Record) -> tuple[str, str, str]:
    return record.person_id, record.modality, canonical_text(record.question)


def _options(record: Record, known: _Known) -> tuple[str, ...]:
    """Return the private value of an open record among three of others; () where that can't be."""
    if record.task not in ("qa", "generation") or len(record.secrets) != 1:
        return ()
    question, values = known.beside(record)
    rng = random.Random(f"{record.person_id}\n{question}")
    drawn = rng.sample(values, min(TRIED, len(values)))
    answer, right = _folded(record.answer), _folded(record.secrets[0])
    others = (other for other in drawn if _folded(other) not in answer and right not in _folded(other))
    options = list(islice(others, len(LETTERS) - 1))
    if len(options) < len(LETTERS) - 1:
        return ()
    options.insert(rng.randrange(len(LETTERS)), record.secrets[0])
    return tuple(options)


def _cloze(record: Record, value: str) -> Record:
    left = exchanged(record.answer, value, BLANK)
    question = left if any(map(str.isalnum, left.replace(BLANK, ""))) else f"{record.question} {BLANK}"
    cloze = replace(record, task="cloze", question=question, answer=value, secrets=(value,))
    return replace(cloze, perturbed_answers=(), paraphrases=())


def _choice(record: Record, options: tuple[str, ...]) -> Record:
    (value,) = record.secrets
    choice = replace(record, task="classification", answer=value, options=options)
    return replace(choice, correct=LETTERS[options.index(value)], perturbed_answers=(), paraphrases=())
