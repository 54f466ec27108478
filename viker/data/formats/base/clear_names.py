"""Who is in the pictures of CLEAR: the column ``name`` is in some configurations, never in ``NAME+tofu``.

A picture is known by its bytes and its caption. Its name comes from a configuration that has the column; where there is
none, from the caption, by the names that captions and TOFU's blocks have in common.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.core.files import sha256_bytes
from viker.data.formats.base.clear_people import BLOCK, fold, owners, who
from viker.data.formats.base.intake import BadRow
from viker.data.formats.base.shards import has_columns, rows, shards

TEXT = pa.string()
IMAGE = pa.struct([("bytes", pa.binary())])
Key = tuple[str, str]
"""SHA-256 of a picture's bytes, and its caption."""
LONGEST_NAME = 5
_END_OF_PHRASE = re.compile(r"[.,;:!?()\[\]\"“”«»…]|['’]s\b|\s[-–—]\s")


@dataclass
class Tofu:
    """A configuration ``NAME+tofu``, as far as who its rows are about."""

    people: dict[int, str | BadRow] = field(default_factory=dict)
    """By the row's number: the person, or why it isn't known; TOFU's rows come with ``join_text``."""
    first_rows: dict[str, str] = field(default_factory=dict)
    """Where each person is first seen."""
    names: dict[Key, str] = field(default_factory=dict)
    """The person of each picture."""
    texts: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """TOFU's rows by their number."""

    def join_text(self) -> None:
        """Find the people of TOFU's rows among those in the pictures; raises as ``owners`` does."""
        of_block = owners(self.texts.values(), list(self.first_rows))
        self.people |= {number: of_block[place // BLOCK] for place, number in enumerate(self.texts)}


def key_of(row: Mapping[str, Any]) -> Key:
    """Return what a picture is known by."""
    return sha256_bytes((row["image"] or {}).get("bytes") or b""), row["caption"] or ""


def read_tofu(folder: Path, notes: list[str]) -> Tofu:
    """Read who each picture of ``folder``, a configuration ``NAME+tofu``, shows, and the rows of text.

    A picture has the name that the configuration without ``+tofu`` or the default one (``data``) gives for the same
    picture and caption; else the one in its caption. ``notes`` takes a note where no column has the names.

    Raises BadRow: a row without anything in it, or no picture names anyone.
    """
    sources = [folder.with_name(folder.name.removesuffix("+tofu")), folder.with_name("data")]
    named = next((source for source in sources if has_columns(source, "name", "caption")), None)
    given = dict(_given(named)) if named else {}
    tofu, pictures = Tofu(), {}
    columns = {"image": IMAGE, "caption": TEXT, "question": TEXT, "answer": TEXT}
    for number, (where, row) in enumerate(rows(shards(folder), columns)):
        if is_text(where, row):
            tofu.texts[number] = where, {name: row[name] for name in ("question", "answer")}
        else:
            pictures[number] = where, key_of(row)
    keys = dict.fromkeys(key for _, key in pictures.values())
    names = sorted({given[key] for key in keys if key in given})
    if not names:
        notes.append(
            f"{folder.name}: no configuration has the column 'name' for its pictures; names come from the captions"
        )
        names = names_in([caption for _, caption in keys], _blocks([row for _, row in tofu.texts.values()]))
    for number, (where, key) in pictures.items():
        person = tofu.people[number] = given.get(key) or by_caption(where, key[1], names)
        if isinstance(person, str):
            tofu.first_rows.setdefault(person, where)
            tofu.names[key] = person
    if not tofu.first_rows and pictures:
        raise next(bad for bad in tofu.people.values() if isinstance(bad, BadRow))
    return tofu


def is_text(where: str, row: Mapping[str, Any]) -> bool:
    """Return whether a row of ``NAME+tofu`` is one of TOFU's, without a picture. Raises BadRow: nothing is in it."""
    if row["caption"] is not None or (row["image"] or {}).get("bytes"):
        return False
    if row["question"] is None and row["answer"] is None:
        message = "a row of nothing: a picture has a caption, a TOFU row question and answer; complete it."
        raise BadRow(where, "image, caption, question, answer", "empty row", message)
    return True


def by_caption(where: str, caption: str, names: Sequence[str]) -> str | BadRow:
    """Return the one of ``names`` whom a caption names, or what is wrong."""
    matched = who([caption], names)
    if len(matched) == 1:
        return matched[0]
    could = " and ".join(f"'{name}'" for name in matched)
    what = f"could be about {could}" if matched else "names nobody who has rows of TOFU here"
    message = f"no configuration names the person of this picture, and its caption {what}; name one in it."
    return BadRow(where, "caption", "picture of two" if matched else "picture of nobody", message)


def names_in(captions: Iterable[str], blocks: Iterable[Sequence[str]]) -> list[str]:
    """Return the names of people, one per block of TOFU: of the phrases that captions have too, the most frequent.

    That is the one in most rows of the block, then in most captions, then the longest. A phrase that two blocks choose
    names neither.

    Args:
        captions: of all pictures.
        blocks: question and answer of each row, block by block.
    """
    spelling: dict[str, str] = {}
    in_captions: Counter[str] = Counter()
    for caption in captions:
        found = {fold(phrase): phrase for phrase in _phrases(caption)}
        spelling = found | spelling
        in_captions.update(found.keys())
    chosen: Counter[str] = Counter()
    for block in blocks:
        in_rows = Counter(
            phrase for row in block for phrase in {fold(one) for one in _phrases(row)} & in_captions.keys()
        )
        if in_rows:
            chosen[max(in_rows, key=lambda one: (in_rows[one], in_captions[one], len(one), one))] += 1
    return [spelling[phrase] for phrase, count in chosen.items() if count == 1]


def _phrases(text: str) -> Iterator[str]:
    """Yield the runs of two to five words that could be a full name: capitals outside, particles at most inside."""
    for part in _END_OF_PHRASE.split(text):
        words = part.split()
        capital = [any(piece[0].isupper() for piece in word.split("-") if piece) for word in words]  # al-Faisal
        for start in range(len(words)):
            for end in range(start + 2, min(start + LONGEST_NAME, len(words)) + 1):
                inner = zip(words[start:end], capital[start:end], strict=True)
                if capital[start] and capital[end - 1] and all(big or len(word) <= 3 for word, big in inner):
                    yield " ".join(words[start:end])


def _blocks(texts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = [f"{row['question'] or ''}. {row['answer'] or ''}" for row in texts]
    return [lines[start : start + BLOCK] for start in range(0, len(lines), BLOCK)]


def _given(folder: Path) -> Iterator[tuple[Key, str]]:
    """Yield what each picture of a configuration is known by, and its name; none where two rows disagree."""
    names: dict[Key, str | None] = {}
    for _, row in rows(shards(folder), {"image": IMAGE, "caption": TEXT, "name": TEXT}):
        name = row["name"] if row["name"] and row["name"].strip() else None
        names[key_of(row)] = name if names.get(key_of(row), name) == name else None
    yield from ((key, name) for key, name in names.items() if name)
