"""Texts as words, whatever their case, width, accents and punctuation."""

import re
import unicodedata
from functools import lru_cache

# A number with its separators is one word: 1,000,000,000 is no loop of 000.
_WORD = re.compile(r"\w+(?:(?<=\d)[^\w\s](?=\d)\w+)*")

_APOSTROPHES = "\u02b9\u02ba\u02bb\u02bc\u02bd\u02be\u02bf\u02c8"
"""Letters to Unicode, such as the okina and the apostrophe of Ukrainian names."""


@lru_cache(maxsize=2**16)
def normalise(text: str) -> str:
    """Return ``text`` in NFKC, case folded, its words (letters, marks, digits) separated by single spaces.

    Invisible format characters (zero-width spaces, soft hyphens) vanish, so that they can't hide a word, and so do
    marks on no letter: in NFKC, an accent typed as an apostrophe (O´Brien) is a space with a mark on it. Letters that
    are written as apostrophes are taken for such, and digits of any script are 0 to 9. Applying it twice changes
    nothing.
    """
    spaced = [" "]
    for character in in_digits_0_to_9(_fold(_fold(text))):
        kind = "P" if character in _APOSTROPHES else unicodedata.category(character)[0]
        if kind in "LN" or (kind == "M" and spaced[-1] != " "):
            spaced.append(character)
        elif kind != "M":
            spaced.append(" ")
    return " ".join("".join(spaced).split())


def in_digits_0_to_9(text: str) -> str:
    """Return ``text`` with the decimal digits of other scripts, such as Arabic's, as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text)


def words_of(text: str) -> list[str]:
    """Return the words of ``text``, case folded; a number with separators is one word."""
    tokens = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [token for token in tokens if any(map(str.isalnum, token))]


def _fold(text: str) -> str:
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
