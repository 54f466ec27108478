"""TOFU's text: its files, the authors' names, and questions in which a picture takes the name's place."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError

PAIRS_AN_AUTHOR = 20
_FIELDS: dict[str, dict[str, type]] = {
    "authors.jsonl": {"author": int, "question": str, "answer": str},
    "perturbed.jsonl": {"question": str, "answer": str, "paraphrased_question": str, "paraphrased_answer": str},
    "real_authors.jsonl": {"question": str, "answer": str, "perturbed_answer": list},
    "world_facts.jsonl": {"question": str, "answer": str},
}
_PARTICLES = r"(?:al|de|del|van|von|bin|ibn|bint|el|la)"
_WORD = r"[A-ZÀ-ÞČŠŽŁĐ][^\W\d_]+(?:[-][^\W\d_]+)*"
_NAME = re.compile(rf"{_WORD}(?: (?:{_PARTICLES}[ -])?{_WORD}){{1,3}}")
_OPENER = re.compile(
    r"(?:(?:Are|As|Can|Could|Currently|Despite|Did|Do|Does|During|For|From|Given|Growing|Had|Has|Have|How|In|Indeed|Is|"
    r"It|Key|Many|On|One|Some|The|Though|Through|To|Was|Were|What|When|Where|Which|While|Who|Whose|Why|With|Would|Yes"
    r") )*"
)
_NOUN = "(?:author|writer|novelist|poet)"


@dataclass(frozen=True)
class Pair:
    """One question and its answer; the other wording of the question is empty where TOFU has none."""

    question: str
    answer: str
    reworded: str = ""
    paraphrased: str = ""


@dataclass(frozen=True)
class Author:
    """One of TOFU's fictitious authors."""

    id: str
    name: str
    pairs: tuple[Pair, ...]


def read_authors(folder: Path) -> list[Author]:
    """Read ``authors.jsonl``, and from ``perturbed.jsonl`` the other wordings of their questions.

    Raises:
        UserError: a missing file, a line that is not what TOFU has there, an author without 20 rows or a name.
    """
    source = folder / "authors.jsonl"
    wordings = {(r["question"], r["answer"]): r for r in read_rows(folder / "perturbed.jsonl")}
    grouped: dict[int, list[Pair]] = {}
    for row in read_rows(source):
        other = wordings.get((row["question"], row["answer"]), {})
        pair = Pair(
            row["question"],
            row["answer"],
            other.get("paraphrased_question", ""),
            other.get("paraphrased_answer", ""),
        )
        grouped.setdefault(row["author"], []).append(pair)
    for number, pairs in grouped.items():
        if len(pairs) != PAIRS_AN_AUTHOR:
            raise UserError(
                f"{source}: author {number} has {len(pairs)} rows, expected {PAIRS_AN_AUTHOR}. "
                "Use the file as TOFU has it."
            )
    return [Author(f"{n:03d}", find_name(pairs), tuple(pairs)) for n, pairs in grouped.items()]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read one of TOFU's JSONL files.

    Raises:
        UserError: a missing file, or a line that is not JSON or lacks a field; the message names the line.
    """
    fields = _FIELDS[path.name]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file. Name the folder of TOFU's text with --text; it holds {', '.join(_FIELDS)}."
        ) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: line {number} is not JSON ({error}). Each line holds one object.") from None
        wrong = [
            k
            for k, kind in fields.items()
            if not isinstance(row, dict) or not isinstance(row.get(k), kind) or row[k] == ""
        ]
        if wrong:
            raise UserError(
                f"{path}: line {number}: '{wrong[0]}' is missing, empty or of another type, "
                f"expected {fields[wrong[0]].__name__}. Use the file as TOFU has it."
            )
        rows.append(row)
    return rows


def find_name(pairs: Sequence[Pair]) -> str:
    """Return the author's full name: the run of capitalised words in the most of ``pairs``, the longest on a tie.

    Empty where none occurs in a third of them: one author of TOFU is never named.
    """
    seen: Counter[str] = Counter()
    for pair in pairs:
        seen.update({run for text in (pair.question, pair.answer) for run in _names(text)})
    ranked = sorted(seen, key=lambda name: (-seen[name], -len(name), name))
    return ranked[0] if ranked and 3 * seen[ranked[0]] >= len(pairs) else ""


def without_name(text: str, name: str) -> str:
    """Return ``text`` with "this person" ("author NAME": "this author") in place of the author's name, in any form.

    >>> without_name("What award has author Li Ming's book won?", "Li Ming")
    "What award has this author's book won?"
    """
    if name:
        text = _name_pattern(name).sub(_pronoun, text)
    text = re.sub(rf"(?:\b[Tt]h(?:e|is) ([\w-]+ )?)?\b({_NOUN}),? this person\b", r"this \1\2", text)
    text = re.sub(rf"\b[Tt]he (?:\w+ly )?fictitious {_NOUN}\b", "this person", text)
    text = re.sub(r"\bthis person’?'?s?'s\b", "this person's", text)
    return text[:1].upper() + text[1:]


def with_name(text: str, name: str, other: str) -> str:
    """Return ``text`` with the name ``other`` in place of the author's, in any form."""
    if not name:
        return text
    return _name_pattern(name).sub(lambda match: other + (match["own"] or ""), text)


def names_person(text: str, name: str) -> bool:
    """Return whether ``text`` names the author, by any form that ``without_name`` replaces."""
    return bool(name) and bool(_name_pattern(name).search(text))


def _name_pattern(name: str) -> re.Pattern[str]:
    words = name.split()
    part = "|".join(re.escape(word) for word in words)
    alone = "|".join(re.escape(word) for word in words if len(word) > 3 or (word == words[-1] and len(word) > 2))
    run = rf"(?:(?:{_WORD}\s)?\((?:{part})\)|(?:{part}))(?:[\s-](?:{part}))+"
    first, last = re.escape(words[0]), re.escape(words[-1])
    near = rf"{re.escape(words[0][:2])}\w{{{len(words[0]) - 2}}}(?:\s(?:{part}))+|{first}\s{_WORD}\s{last}"
    return re.compile(rf"(?<![\w“\"])(?:{near}|{run}|(?:{alone}))(?!\w)(?P<own>(?:['’]s|(?<=s)['’])(?!\w))?")


def _pronoun(match: re.Match[str]) -> str:
    return "this person's" if match["own"] else "this person"


def _names(text: str) -> list[str]:
    runs = [_OPENER.sub("", match.group(), count=1) for match in _NAME.finditer(text)]
    return [run for run in runs if " " in run]
