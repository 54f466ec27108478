"""The people of CLEAR's TOFU rows: no column names them, but rows come in blocks of 20 per person, in order."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from viker.core.errors import UserError
from viker.data.formats.base.intake import BadRow

BLOCK = 20


def owners(located: Iterable[tuple[str, dict[str, Any]]], names: Sequence[str]) -> list[str | BadRow]:
    """Return the person of each block of TOFU rows, in order; what is wrong with it where it names nobody or two.

    ``located`` are one configuration's TOFU rows in order, ``names`` the people in its pictures.

    Raises UserError: rows are left over, or a person has no block or two.
    """
    rows = list(located)
    if len(rows) % BLOCK:
        place = f"{rows[len(rows) // BLOCK * BLOCK][0]} to {rows[-1][0]}"
        raise UserError(
            f"{place}, column question: {len(rows)} TOFU rows, the last {len(rows) % BLOCK} of which fill no block of "
            f"{BLOCK}; every person has {BLOCK}, in order. Fetch the configuration again, or complete the block."
        )
    block_owners: list[str | BadRow] = []
    places: dict[str, str] = {}
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        place = f"{block[0][0]} to {block[-1][0]}"
        matched = who([f"{row['question'] or ''} {row['answer'] or ''}" for _, row in block], names)
        if len(matched) != 1:
            could = " and ".join(f"'{name}'" for name in matched)
            what = f"could be about {could}" if matched else "name nobody who is in the pictures"
            message = (
                f"these {BLOCK} TOFU rows {what}. A block belongs to the one person whose name is in it: put the full "
                "name, as in the column name, into its rows, or remove the block."
            )
            rule = "block of two" if matched else "block of nobody"
            block_owners.append(BadRow(place, "question, answer", rule, message))
            continue
        (name,) = matched
        if name in places:
            raise UserError(
                f"{place}, column question: these {BLOCK} TOFU rows are about '{name}', like those at {places[name]}. "
                "A person has one block: correct the names in it, or remove it."
            )
        places[name] = place
        block_owners.append(name)
    without = [name for name in names if name not in places]
    if len(without) > len(block_owners) - len(places):  # a block that names nobody is somebody's all the same
        folder = rows[0][0].rpartition("/")[0] if rows else "NAME+tofu"
        raise UserError(
            f"{folder}, column question: no block of {BLOCK} TOFU rows is about '{without[0]}', who is in the "
            "pictures. Fetch the configuration again, or add the rows."
        )
    return block_owners


def who(block: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return who is named in the rows of a block: by full name; where there is none, by the last word of it.

    A name inside a longer one doesn't count: 'Ana Roy' isn't named by 'Ana Roy Silva'. A last name counts where it is
    in half of the rows, without a small initial: 'An' is a name, and 'an' is not.
    """
    text, forms = f" {fold(' '.join(block))} ", {name: fold(name) for name in names}
    named = set()
    for form in sorted({*forms.values()} - {""}, key=lambda form: (-len(form), form)):
        if f" {form} " in text:
            text = text.replace(f" {form} ", " \0 ")
            named.add(form)
    if named:
        return [name for name, form in forms.items() if form in named]
    capitals = [fold(" ".join(word for word in row.split() if not word[0].islower())) for row in block]
    last = {name: form.split()[-1] for name, form in forms.items() if form}
    return [name for name, form in last.items() if 2 * sum(f" {form} " in f" {row} " for row in capitals) >= len(block)]


def has(text: str, name: str) -> bool:
    """Return whether ``text`` has the name, accents and case aside."""
    return bool(fold(name)) and f" {fold(name)} " in f" {fold(text)} "


@lru_cache(4096)
def fold(text: str) -> str:
    """Return ``text`` without accents and case, its words parted by single spaces; possessives lose their 's."""
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"['’]s\b", "", plain(text).casefold())))


def plain(text: str) -> str:
    """Return ``text`` without its accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
