"""Redaction: private values in texts, and pseudonyms for people and requests."""

import hashlib
import hmac
import unicodedata
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from viker.data.records import Record

SHARED_BY = 5
"""A word is shown if the questions and answers of at least this many people contain it."""
PRIVATE, WITHHELD = "private value", "withheld"
"""A value of the record that was asked about; anything else that may tell something about anybody."""
_GRAMMAR = """
a about am an and any are as at be but by can cannot could do does don for from has have he her his i in is it its know
m me my no not of on or s she so sorry t that the their them there they this to was were what when where which who will
with would you your answer question picture person image information unable help provide
"""
COMMON = frozenset(_GRAMMAR.split())
"""Words of grammar and refusals, which are shown however few people's texts contain them."""
Span = tuple[int, int, str]
"""Start and end in a text, and PRIVATE or WITHHELD."""


class Pseudonyms:
    """Pseudonyms of people and requests: the same throughout a report, and across reports on the same data.

    They are HMACs under the prepared data's whole manifest, which contains the hashes of pictures and answers. The
    report has only the manifest's SHA-256, so without the data an ID can't be found by trying all of them.
    """

    def __init__(self, key: bytes, redact: bool) -> None:
        """Take the manifest's bytes as the key; without ``redact`` the IDs are shown as they are."""
        self._key, self._redact = key, redact

    def person(self, person_id: str) -> str:
        """Return a person's name in the report."""
        return self._named("person", person_id)

    def request(self, request_id: str) -> str:
        """Return a forget request's name in the report; its ID is free text."""
        return self._named("request", request_id)

    def _named(self, kind: str, name: str) -> str:
        if not self._redact:
            return name
        digest = hmac.digest(self._key, f"viker report\0{kind}\0{name}".encode(), hashlib.sha256)
        return f"{kind[0].upper()}-{b32encode(digest)[:8].decode().lower()}"


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    key: str


class Redactor:
    """Finds the parts of a text that must be hidden."""

    def __init__(self, records: Iterable[Record], redact: bool) -> None:
        """Learn the private values of all ``records``, and which words their people share; see ``spans``."""
        self._redact = redact
        records = list(records) if redact else []
        self._phrases = _index(secret for record in records for secret in record.secrets)
        phrases = chain.from_iterable(self._phrases.values())
        self._unspaced = [phrase[0] for phrase in phrases if len(phrase) == 1 and not phrase[0].isascii()]
        users: dict[str, set[str]] = {}
        people_asked: dict[str, set[str]] = {}
        for record in records:
            people_asked.setdefault(record.question, set()).add(record.person_id)
            for text in (record.question, record.answer):
                words = _words(text)
                for word, place in zip(words, _matches(words, self._phrases), strict=True):
                    people = users.setdefault(word.key, set())
                    if place == 0 and len(people) < SHARED_BY:
                        people.add(record.person_id)
        shared = {word.key for question, people in people_asked.items() if len(people) > 1 for word in _words(question)}
        self._common = {key for key, people in users.items() if len(people) >= SHARED_BY} | shared | COMMON

    def spans(self, text: str, secrets: Sequence[str]) -> list[Span]:
        """Return the private parts of ``text`` in order, without overlaps.

        A value among ``secrets`` is PRIVATE, whatever its case, accents, and punctuation between its words. When
        redacting, every other record's value is WITHHELD, and so is each word that the questions and answers of fewer
        than ``SHARED_BY`` people contain outside private values: names, and values misspelt, cut short or not listed.
        Words of a question that is asked in the same way about two people are shown.
        """
        words = _words(text)
        own = _matches(words, _index(secrets))
        others = _matches(words, self._phrases)
        marks = [self._mark(word, *places) for word, *places in zip(words, own, others, strict=True)]
        spans: list[Span] = []
        for i, (word, mark) in enumerate(zip(words, marks, strict=True)):
            joined = i > 0 and mark == marks[i - 1] and (own[i] > 1 if mark == PRIVATE else True)
            if mark and joined:
                spans[-1] = (spans[-1][0], word.end, mark)
            elif mark:
                spans.append((word.start, word.end, mark))
        return spans

    def _mark(self, word: _Word, own: int, other: int) -> str:
        if own:
            return PRIVATE
        if not self._redact:
            return ""
        hidden = other or word.key not in self._common or any(value in word.key for value in self._unspaced)
        return WITHHELD if hidden else ""


def _words(text: str) -> list[_Word]:
    """Return the runs of letters, marks and digits; invisible characters don't end a run."""
    words, start = [], 0
    for inside, run in groupby(text, key=lambda c: unicodedata.category(c).startswith(("L", "M", "N", "Cf"))):
        length = len(list(run))
        if inside:
            words.append(_Word(start, start + length, _key(text[start : start + length])))
        start += length
    return [word for word in words if word.key]


def _key(word: str) -> str:
    """Return a word without case, accents and invisible characters."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Mn"))


def _index(values: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Return the values as tuples of words by first word, longest first."""
    keys = {tuple(word.key for word in _words(value)) for value in values}
    index: dict[str, list[tuple[str, ...]]] = {}
    for key in sorted(filter(None, keys), key=lambda key: (-len(key), key)):
        index.setdefault(key[0], []).append(key)
    return index


def _matches(words: Sequence[_Word], index: dict[str, list[tuple[str, ...]]]) -> list[int]:
    """Return for each word its position, from 1, in the value that contains it; 0 outside values."""
    positions, i = [0] * len(words), 0
    keys = [word.key for word in words]
    while i < len(words):
        phrase = next((p for p in index.get(keys[i], ()) if tuple(keys[i : i + len(p)]) == p), ())
        for place in range(len(phrase)):
            positions[i + place] = place + 1
        i += max(1, len(phrase))
    return positions
