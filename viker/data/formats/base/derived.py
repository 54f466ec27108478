"""Cloze and choice questions that follow from open ones, for data that has none of its own."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
Values = Mapping[str, Sequence[str]]
"""By question in canonical form: the different private values of the answers to it, in order."""


def add_derived(splits: Mapping[str, list[Record]]) -> None:
    """Add to each split the cloze and choice questions that its generation records give; each ID gets a number.

    A cloze is the answer with a private value left out. A choice is between that value and those of three other
    people who were asked the same and stay, for answers with one private value that have no options yet; place and
    wrong options are drawn by person and question. The wrong ones become ``perturbed_answers`` too where a record has
    none. Questions to which fewer than four different values are known get no choice.
    """
    values = _values(splits)
    for records in splits.values():
        numbers = Counter((record.person_id, record.task) for record in records)
        chosen = {_fact(record) for record in records if record.task == "classification"}
        for place, record in enumerate(list(records)):
            options = () if _fact(record) in chosen else _options(record, values)
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


def _values(splits: Mapping[str, list[Record]]) -> Values:
    values: dict[str, dict[str, str]] = defaultdict(dict)
    for split in STAYING:
        for record in splits.get(split, ()):
            if record.task == "generation" and len(record.secrets) == 1:
                known, value = values[canonical_text(record.question)], record.secrets[0]
                key = canonical_text(value).casefold()
                known[key] = min(known.get(key, value), value)
    return {question: sorted(known.values()) for question, known in values.items()}


def _fact(record: Record) -> tuple[str, str, str]:
    return record.person_id, record.modality, canonical_text(record.question)


def _options(record: Record, values: Values) -> tuple[str, ...]:
    """Return the private value of an open record among three of others; () where that can't be."""
    if record.task not in ("qa", "generation") or len(record.secrets) != 1:
        return ()
    (value,) = record.secrets
    known = values.get(canonical_text(record.question), ())
    rng = random.Random(f"{record.person_id}\n{canonical_text(record.question)}")
    drawn = rng.sample(known, min(TRIED, len(known)))
    answer, right = (canonical_text(text).casefold() for text in (record.answer, value))
    folded = ((other, canonical_text(other).casefold()) for other in drawn)
    others = (other for other, text in folded if text not in answer and right not in text)
    options = list(islice(others, len(LETTERS) - 1))
    if len(options) < len(LETTERS) - 1:
        return ()
    options.insert(rng.randrange(len(LETTERS)), value)
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
