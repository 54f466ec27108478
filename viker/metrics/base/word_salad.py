"""Word salad: how unlike a sentence the order and the spelling of a reply's words are.

Each word is reduced to what its place in a sentence depends on: a word of grammar to its group, any other to its
ending, or to a name, a number, a single letter, letters in mixed case, or a word that neither English nor the data
have. A trigram model of these kinds says how many bits a word takes. So it is independent of what a reply is about.
What English has is in ``english.json``, which ``benchmarks.gibberish`` makes.
"""

import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BITS, BITS_OF_ONE = 5.2, 8.0
"""Threshold, bits per word: that of a long reply; and what is added for a single word, divided by the words of others.

Calibrated on the labelled replies of ``tests/viker/metrics/gibberish_labels.json``.
"""
FEWEST_WORDS = 2
"""Of fewer words, marks of punctuation among them, nothing can be told."""
_TOKEN = re.compile(r"\d[\w.,:/%-]*|\w+(?:['’-]\w+)*|[.!?;:,]")
_SHORT_FORMS = {"n't": "not", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would", "'m": "am"}
_IS = re.compile(r"(?:it|he|she|that|there|here|who|what|where|how|let)'s", re.IGNORECASE)
_NAME = re.compile(r"(?:Mc|Mac|De|La|Le|Van|[ODL]')?[^\W\d_][^\W\d_A-Z]*(?:[-'][^\W\d_][^\W\d_A-Z]*)*")
_LONGEST_ACRONYM = 5
_ENDS, _COMMA = tuple(".!?;:"), (",",)
_ENDINGS = ("ing", "ed", "ly", "s")
_SUFFIXES = (
    *(("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("d", ""), ("ing", ""), ("ing", "e"), ("ly", "")),
    *(("er", ""), ("er", "e"), ("ers", ""), ("ness", ""), ("ful", ""), ("less", ""), ("ish", ""), ("al", "")),
)
_PREFIXES = ("un", "re", "non", "in", "dis")
_FEWEST = 3
"""Letters that must be left of a word without its suffix."""
START = "<"
ORDER = 3


@dataclass(frozen=True)
class Language:
    """What is known of a language.

    ``grammar``: its words of grammar, and the group of each; ``words``: others, lower case, without forms that follow
    by ``_SUFFIXES``; ``counts``: how often which kind of word follows none, one or two others, separated by spaces.
    """

    grammar: Mapping[str, str]
    words: Collection[str]
    counts: Mapping[str, Mapping[str, int]]

    def kinds(self, text: str, words: Collection[str] = ()) -> list[str]:
        """Return the kind of each word and mark in a text; the words of one name or number are one.

        ``words``: in lower case, known besides those of the language.
        """
        result: list[str] = []
        at_start = True
        for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).replace("_", " ")):
            for part in _parts(token.replace("’", "'")):
                kind = self._kind(part, at_start, words)
                if kind not in ("Name", "0") or result[-1:] != [kind]:
                    result.append(kind)
                at_start = kind == "."
        return result

    def bits_per_word(self, kinds: Sequence[str]) -> float:
        """Return the mean of -log2 p(kind | the two before) of at least one; backed off as Witten and Bell 1991 do."""
        padded = [START] * (ORDER - 1) + list(kinds)
        total = 0.0
        for i in range(ORDER - 1, len(padded)):
            p = 1 / (len(self.counts[""]) + 1)
            for size in range(ORDER):
                following = self.counts.get(" ".join(padded[i - size : i]))
                if following is None:
                    break
                different = len(following)
                p = (following.get(padded[i], 0) + different * p) / (sum(following.values()) + different)
            total -= math.log2(p)
        return total / len(kinds)

    def knows(self, word: str, words: Collection[str] = ()) -> bool:
        """Return whether a lower-case word, or what is left without a suffix or prefix, is known or among ``words``."""

        def has(part: str) -> bool:
            return part in self.words or part in self.grammar or part in words

        stems = (word[: -len(end)] + instead for end, instead in _SUFFIXES if word.endswith(end))
        rests = (word[len(begin) :] for begin in _PREFIXES if word.startswith(begin))
        return has(word) or any(has(stem) for stem in stems if len(stem) >= _FEWEST) or any(map(has, rests))

    def _kind(self, token: str, at_start: bool, words: Collection[str]) -> str:
        if token in _ENDS:
            return "."
        if token in _COMMA:
            return ","
        if token[0].isdigit():
            return "0"
        token = token.removesuffix("'s")
        word = token.lower()
        if word in self.grammar and (len(word) == 1 or not token.isupper()):
            return self.grammar[word]
        if len(word) == 1:
            return "letter"
        if not _NAME.fullmatch(token):
            is_acronym = token.isalpha() and token.isupper() and len(token) <= _LONGEST_ACRONYM
            return "Name" if word in words else "ABC" if is_acronym else "miXed"
        if token[0].isupper() and not (at_start and self.knows(word, words)):
            return "Name"
        if not all(self.knows(part, words) for part in word.split("-") if part):
            return "unknown"
        return next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= _FEWEST), "word")


def _parts(token: str) -> list[str]:
    """Return a word and, of a short form, what it is short for: ["do", "not"] of "don't"."""
    if _IS.fullmatch(token):
        return [token[:-2], "is"]
    for end, word in _SHORT_FORMS.items():
        if token.lower().endswith(end) and len(token) > len(end):
            return [{"ca": "can", "wo": "will"}.get(token[: -len(end)].lower(), token[: -len(end)]), word]
    return [token]


@cache
def english() -> Language:
    """Return what is known of English."""
    table = json.loads(Path(__file__).with_name("english.json").read_text(encoding="utf-8"))
    return Language(grouped(table["grammar"]), frozenset(table["words"].split()), table["counts"])


def grouped(groups: Iterable[str]) -> dict[str, str]:
    """Return the group of each word, its first one; ``groups``: their words, separated by spaces."""
    return {word: group.split()[0] for group in groups for word in group.split()}


def excess_bits(text: str, words: Collection[str] = ()) -> float:
    """Return by how much the mean bits per word of a text are above what counts as word salad; above 0: it is.

    ``words``: those of the data, see ``words_in``. -inf of a text of fewer than ``FEWEST_WORDS``. Source: this project.
    """
    kinds = english().kinds(text, words)
    if len(kinds) < FEWEST_WORDS:
        return -math.inf
    return english().bits_per_word(kinds) - BITS - BITS_OF_ONE / len(kinds)


def words_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of ``texts`` in lower case, and the parts of those with hyphens."""
    return frozenset(part for text in texts for token in _TOKEN.findall(text) for part in token.lower().split("-"))
