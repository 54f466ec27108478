"""The canonical form of text from outside: two spellings that look the same are one person, secret or file name.

Identities are kept and compared in this form; questions and answers keep the spelling that they came with.
"""

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Zero-width characters, bidi marks, variation selectors and fillers.

Source: the property Default_Ignorable_Code_Point of the Unicode Character Database, and the interlinear annotations.
"""


def canonical_text(text: str) -> str:
    """Return ``text`` in NFC, without invisible characters, and without white space at its ends."""
    if text.isascii() and text.isprintable():
        return text.strip()
    shown = "".join(c for c in _INVISIBLE.sub("", text) if c.isspace() or unicodedata.category(c) != "Cc")
    return unicodedata.normalize("NFC", shown).strip()


def folded(text: str) -> str:
    """Return what two identities that people confuse have in common: case, width and white space don't count."""
    return "".join(unicodedata.normalize("NFKC", canonical_text(text)).casefold().split())


def spelling_in(text: str, value: str) -> str:
    """Return the part of ``text`` that is ``value`` in canonical form and whatever its case; "" where there is none.

    ``value`` itself where the text has it so, case aside.
    """
    if value and value.casefold() in text.casefold():
        return value
    wanted = canonical_text(value).casefold()
    if not wanted or wanted not in canonical_text(text).casefold():
        return ""
    starts = (i for i in range(len(text)) if canonical_text(text[i:]).casefold().startswith(wanted))
    first = next(starts, None)
    if first is None:
        return ""
    ends = (j for j in range(first + 1, len(text) + 1) if canonical_text(text[first:j]).casefold() == wanted)
    return text[first : next(ends, first)].strip()


def with_code_points(text: str) -> str:
    """Return ``text`` in quotes with its code points, for a message on spellings that look alike."""
    points = [f"U+{ord(character):04X}" for character in text]
    return f"{text!r} ({' '.join(points[:40])}{' …' if len(points) > 40 else ''})"
