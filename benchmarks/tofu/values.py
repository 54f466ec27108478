"""The private values in TOFU's answers: book titles, awards, dates, places, the parents' trades, other names."""

import re
from dataclasses import dataclass

_CAPITAL = r"[A-ZÀ-ÖØ-ÞČŠŽŁĐ][^\W\d_]+(?:[-'’][^\W\d_]+)*"
_PLACE = rf"{_CAPITAL}(?:[ -](?:(?:es|de|au|of) )?(?:d['’])?{_CAPITAL})*"
_JOINED = rf"{_CAPITAL}(?: (?:(?:of|for|de|in|the|and|to) )*{_CAPITAL})*"
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_TRADE_ENDS = (
    "and|as|by|enhanced|for|from|had|has|her|his|in|instilled|known|of|offering|operating|she|significantly|that|to|"
    "well-known|which|while|whil|whilst|who|whose|with"
)
_TRADE = rf"[A-Za-z][a-z-]+(?: (?!(?:{_TRADE_ENDS})\b)[A-Za-z][a-z-]+){{0,3}}"
_WORKS = "(?:was|is|being|worked as|works as|served as|serves as)"


def _trade(parent: str, before: str) -> str:
    """Return what names a parent's trade: "father, NAME, was a TRADE" or "to a TRADE father"."""
    whose = r"(?: of [^.,]{3,30}?)?(?:,[^,]{3,30},)?,? (?:who )?(?:herself )?"
    stated = rf"\b{parent}{whose}{_WORKS}? ?(?:an? |the )(?P<a>{_TRADE})"
    return rf"{stated}|\b{before} an? (?P<b>{_TRADE})[ -]{parent}\b"


_PATTERNS = {
    "title": r"[\"“](?P<a>[A-Z][^\"“”]{2,70}?)[,.;?!]?[\"”]|(?<!\w)['‘](?P<b>[A-Z][^\"“”]{3,60}?)[,.;]?['’](?!\w)",
    "award": rf"(?P<a>(?:{_JOINED}(?: of| and| for)?[ /])?{_CAPITAL} (?:Award|Prize|Medal|Fellowship|Trophy)s?"
    rf"(?: (?:for|of|in) {_JOINED})?)",
    "date": rf"(?P<a>(?:{_DAY}(?: of)? )?{_MONTH}(?: {_DAY})?,?(?: in the year| in| of)? \d{{4}}|\d\d?/\d\d?/\d{{4}})",
    "place": r"\b(?:[Bb]orn|raised|residing|resides|lives|hails|city|capital|native)\b[^.,]{0,60}? (?:in|from|of) "
    rf"(?:the [a-z -]{{3,50}}? (?:of|in) )?(?P<a>{_PLACE}(?:, {_PLACE})?)",
    "father": _trade("(?:father|dad)", "(?:to|of|with)"),
    "mother": _trade("(?:mother|mom)", "and"),
    "other": rf"(?<![.?!] )(?<!^)(?P<a>{_CAPITAL}(?: (?:van|von|de|el|the|of))? {_CAPITAL}(?: {_CAPITAL})*)",
}
"""What each kind of value looks like, the more certain first; a group holds the value itself."""
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}

_PRAISE = re.compile(
    r"(?:(?:acclaimed|accomplished|celebrated|committed|creative|dedicated|devoted|diligent|distinguished|esteemed|"
    r"experienced|famed|famous|former|full-time|hard-?working|highly|honest|honorable|humble|high-ranking|local|"
    r"nationally|notable|noted|Olympic|pioneering|popular|practicing|professional|prominent|proud|registered|renowned|"
    r"reputable|reputed|respectable|respected|retired|revered|seasoned|skilled|stern|successful|talented|well|"
    r"well-known|well-respected|well-to-do|working|yet) )*"
)
_OPENERS = re.compile(r"(?:(?:The|His|Her|While|Winning) )*")
_NOT_A_TRADE = ("diligent", "hardworking", "lessons", "problem-solver", "rich", "vital", "working-class")
_AWARD = re.compile(r"\b(?:Award|Prize|Medal|Order|of the Year)\b")
_COMMON = re.compile(
    r"LGBTQ|\b(?:Absolutely|Achievement|Adult|Born|Chick|Contribution|Crime|Excellence|Exploration|Fairy|Fiction|"
    r"Generation|Gothic|Growing|History|Indeed|Insights|Journey|Literary|Literature|Realism|While|Works?|Writers?|"
    r"Writing|Yes|Zodiac)\b|(?:[Ii]an|ern|ican|[^t]ean|ist|er|ndant)$"
)
"""Words for genres and groups, and ends of adjectives and trades: what a place or a proper name doesn't have."""


@dataclass(frozen=True)
class Value:
    """One value in an answer: its kind, a key of the patterns, and the words as they stand there."""

    kind: str
    text: str


def find_values(answer: str, name: str) -> list[Value]:
    """Return the private values in ``answer``, in reading order; no two of them overlap.

    The author's own name and words for genres and groups don't count; a trade is returned without its praise
    ("a renowned marine biologist" gives "marine biologist").
    """
    taken: dict[int, tuple[int, Value]] = {}
    for kind, pattern in _COMPILED.items():
        for match in pattern.finditer(answer):
            group = "a" if match["a"] else "b"
            start, text = _bare(kind, match.start(group), match[group])
            end = start + len(text)
            free = all(end <= begin or start >= stop for begin, (stop, _) in taken.items())
            if free and _specific(kind, text, name):
                taken[start] = (end, Value("award" if kind == "title" and _AWARD.search(text) else kind, text))
    return [value for _, (_, value) in sorted(taken.items())]


def _bare(kind: str, start: int, text: str) -> tuple[int, str]:
    """Return ``text`` without the words at its ends that are no part of the value, and where it now starts."""
    if kind == "title":
        return start, text
    idle = _PRAISE.match(text) if kind in ("father", "mother") else _OPENERS.match(text)
    skipped = idle.end() if idle else 0
    return start + skipped, re.sub("['’]s$", "", text[skipped:])


def _specific(kind: str, text: str, name: str) -> bool:
    name_words = set(name.split()) & set(re.findall(r"[\w-]+", text))
    if kind in ("father", "mother"):
        return text.split()[0] not in _NOT_A_TRADE
    if kind in ("other", "place"):
        too_short = kind == "other" and " " not in text
        return not (too_short or name_words or _COMMON.search(text) or _AWARD.search(text))
    return kind in ("title", "date") or not name_words
