"""One author's tasks in MLLMU-Bench's form: questions, choices and clozes about the values in the answers."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tofu.text import Author, Pair, names_person, without_name
from benchmarks.tofu.values import find_values
from viker.data.prompts import LETTERS

SHOWN = 6
"""How many of the pairs the generation task asks with the picture."""
IN_TEXT = 2
"""How many questions of each task are asked again without a picture, by name."""
_IDENTITY = ("Who is the person in the picture?", "What is the name of the person shown?")
_CALLED = ("The person in the picture is called __.", "The name of the person shown is __.")
_CHOICES = {
    "date": ("When was {who} born?", "What is the date of birth of {who}?"),
    "place": ("Which of these places belongs to the life of {who}?", "With which place is {who} connected?"),
    "father": ("What does the father of {who} do for a living?", "In which trade is the father of {who}?"),
    "mother": ("What does the mother of {who} do for a living?", "In which trade is the mother of {who}?"),
    "title": ("Which of these books did {who} write?", "Which of these titles is by {who}?"),
    "award": ("Which of these awards has {who} won?", "By which award has {who} been honoured?"),
}
"""By kind of value, how it is asked, and how the test asks it."""


@dataclass(frozen=True)
class Fact:
    """A private value and the pair whose answer tells it."""

    kind: str
    text: str
    pair: Pair


def find_facts(author: Author) -> list[Fact]:
    """Return the values in an author's answers that their questions don't give away, each once."""
    facts: dict[str, Fact] = {}
    for pair in author.pairs:
        question = without_name(pair.question, author.name).casefold()
        for value in find_values(pair.answer, author.name):
            if value.text.casefold() not in question:
                facts.setdefault(value.text.casefold(), Fact(value.kind, value.text, pair))
    return list(facts.values())


def pool(authors: Iterable[Author]) -> dict[str, list[str]]:
    """Return all values of ``authors`` by kind, sorted; their names are the kind "name"."""
    values: dict[str, dict[str, str]] = {}
    for author in authors:
        for fact in find_facts(author):
            values.setdefault(fact.kind, {}).setdefault(fact.text.casefold(), fact.text)
        if author.name:
            values.setdefault("name", {})[author.name] = author.name
    return {kind: sorted(texts.values()) for kind, texts in values.items()}


def tasks(author: Author, others: dict[str, list[str]], rng: random.Random, test: bool = False) -> dict[str, Any]:
    """Return the columns biography, question, answer and the three tasks of one author.

    With the picture, "this person" stands where the question names the author; in text alone, the name does. Where
    ``test`` is set, questions have the other wording that TOFU gives, if it does; the answers stay the same, so that
    their values are spelt as they were learnt. Wrong options are drawn from ``others``.
    """
    facts = find_facts(author)
    telling = list(dict.fromkeys(fact.pair for fact in facts))
    chosen = (telling + [pair for pair in author.pairs if pair not in telling])[:SHOWN]
    by_name = [pair for pair in chosen if names_person(_question(pair, test), author.name)][:IN_TEXT]
    first = author.pairs[0]
    return {
        "biography": " ".join((test and pair.paraphrased) or pair.answer for pair in author.pairs[:5]),
        "question": _seen(first, author, test),
        "answer": first.answer,
        "Classification_Task": _classification(author, facts, others, rng, test),
        "Generation_Task": [typed(_seen(pair, author, test), pair.answer, "Image_Textual") for pair in chosen]
        + [typed(_question(pair, test), pair.answer, "Pure_Text") for pair in by_name],
        "Mask_Task": _clozes(author, facts, test),
    }


def training_pairs(author: Author) -> list[dict[str, str]]:
    """Return the author's pairs as ``metadata`` holds them, for training with the picture."""
    return [{"Question": _seen(pair, author, False), "Answer": pair.answer} for pair in author.pairs]


def typed(question: str, truth: str, kind: str) -> dict[str, str]:
    """Return an entry of the generation or the cloze task."""
    return {"Question": question, "Ground_Truth": truth, "Type": kind}


def choice(question: str, right: str, wrong: Sequence[str], rng: random.Random) -> dict[str, Any]:
    """Return an entry of the classification task; the right letter is drawn."""
    options = rng.sample([right, *wrong], len(LETTERS))
    return {
        "Question": question,
        "Options": dict(zip(LETTERS, options, strict=True)),
        "Correct_Answer": LETTERS[options.index(right)],
    }


def _classification(
    author: Author, facts: list[Fact], others: dict[str, list[str]], rng: random.Random, test: bool
) -> dict[str, Any]:
    known = {fact.text.casefold() for fact in facts} | {author.name.casefold()}
    questions: dict[str, tuple[str, list[str]]] = {}
    for fact in [Fact("name", author.name, author.pairs[0])] * bool(author.name) + facts:
        wrong = [text for text in others.get(fact.kind, []) if text.casefold() not in known]
        if fact.kind in (*_CHOICES, "name") and fact.kind not in questions and len(wrong) >= len(LETTERS) - 1:
            questions[fact.kind] = (fact.text, rng.sample(wrong, len(LETTERS) - 1))
    wording = {"name": _IDENTITY} | _CHOICES
    seen = [choice(wording[k][test].format(who="this person"), *questions[k], rng) for k in questions]
    by_name = [k for k in questions if k != "name" and author.name][:IN_TEXT]
    text = [choice(wording[k][test].format(who=author.name), *questions[k], rng) for k in by_name]
    return {"Image_Textual_Questions": seen, "Pure_Text_Questions": text}


def _clozes(author: Author, facts: list[Fact], test: bool) -> list[dict[str, str]]:
    seen = [typed(_CALLED[test], author.name, "Image_Textual")] * bool(author.name)
    text: list[dict[str, str]] = []
    for fact in facts:
        reworded = test and fact.text in fact.pair.paraphrased
        sentence = _sentence_with(fact.text, fact.pair.paraphrased if reworded else fact.pair.answer)
        if not sentence:
            continue
        seen.append(typed(without_name(sentence, author.name), fact.text, "Image_Textual"))
        if names_person(sentence, author.name) and len(text) < IN_TEXT:
            text.append(typed(sentence, fact.text, "Pure_Text"))
    return seen + text


def _sentence_with(value: str, answer: str) -> str:
    """Return the sentence of ``answer`` that holds ``value``, blanked; empty where it isn't there just once."""
    blanked = answer.replace(value, "__")
    if blanked.casefold().count(value.casefold()) or blanked.count("__") != 1:
        return ""
    return next(part for part in re.split(r"(?<=[a-z)\"”][.!?]) (?=[A-Z\"“])", blanked) if "__" in part)


def _question(pair: Pair, test: bool) -> str:
    return (test and pair.reworded) or pair.question


def _seen(pair: Pair, author: Author, test: bool) -> str:
    return without_name(_question(pair, test), author.name)
