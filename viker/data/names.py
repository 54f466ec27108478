"""Whom the records are about, by name, and names that nobody in the data bears."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby, permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viker.data.records import Record

INVENTED = ("Maren Tosk", "Ilan Corvey", "Sunniva Dahlke", "Teodor Plass", "Oriel Vantis")
"""Names for data with too few names to put new ones together from."""
COUNT = 5
"""How many names a question is asked with; the teacher is the mean, as over irrelevant images."""
SHORTEST = 3
"""Letters that a part of a name must have to be replaced where it stands alone."""


def names_in_text(records: Iterable[Record]) -> dict[str, str]:
    """Return by record ID the name of the person that a record is about, where one is found.

    It is the answer of the person's record of the task recognition; without one, a run of capitalised words in at least
    half of the person's questions, and in no other person's: the run of two words or more that questions and answers
    have most often, else the one word. Of a person's questions those without a picture count, where there are any: in
    the others the name is often left out.
    """
    known: dict[str, str] = {}
    everything: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.task == "recognition":
            known.setdefault(record.person_id, record.answer)
        else:
            everything[record.person_id].append(record)
    texts = {person: [r for r in own if not r.images] or own for person, own in everything.items()}
    asked = {person: _runs(record.question for record in own) for person, own in texts.items()}
    people = Counter(run for counts in asked.values() for run in counts)
    for person, counts in asked.items():
        said = counts + _runs(record.answer for record in texts[person])
        enough = [run for run in counts if people[run] == 1 and 2 * counts[run] >= len(texts[person])]
        if person not in known and enough:
            known[person] = max(enough, key=lambda run: (" " in run, said[run], len(run)))
    return {record.id: known[person] for person, own in everything.items() if person in known for record in own}


def names_of_nobody(names: Mapping[str, str], forget: Collection[str], seed: int, most: int = COUNT) -> tuple[str, ...]:
    """Return ``most`` names that nobody has: the first word of one retained person's name and the last of another's.

    So they look like the data's own, whatever the language. No word of them is in a forgotten person's name. Where the
    data has fewer such names, all are returned; of fewer than ``COUNT`` it has too few to put together, and
    ``INVENTED`` is returned.

    Args:
        names: by record ID, of ``names_in_text``, of forgotten and retained people.
        forget: IDs of the records to forget.
        seed: draws the names.
        most: how many, at least ``COUNT``.
    """
    taken = {word for record, name in names.items() if record in forget for word in name.split()}
    kept = sorted({n for record, n in names.items() if record not in forget and taken.isdisjoint(n.split())})
    kept = [name for name in kept if " " in name]
    pairs = [(a.split()[0], b.split()[-1]) for a, b in permutations(random.Random(seed).sample(kept, len(kept)), 2)]
    new = list(dict.fromkeys(name for name in map(" ".join, pairs) if name not in set(names.values())))
    return tuple(random.Random(seed).sample(new, min(most, len(new)))) if len(new) >= COUNT else INVENTED


def about(text: str, name: str, other: str) -> str:
    """Return the text with ``other`` in place of ``name``, and of its first and last word where they stand alone."""
    parts = {name.split()[0]: other.split()[0], name.split()[-1]: other.split()[-1]} | {name: other}
    return mentions(name).sub(lambda found: parts[found[0]], text)


def mentions(name: str) -> re.Pattern[str]:
    """Return what finds a name, or its first or last word where it stands alone."""
    alone = [word for word in dict.fromkeys((name.split()[0], name.split()[-1])) if len(word) >= SHORTEST]
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, dict.fromkeys((name, *alone))))})(?!\w)")


def _runs(texts: Iterable[str]) -> Counter[str]:
    """Count in how many texts each run of capitalised words is; at the head of a clause, also without its first word.

    One word alone doesn't count there: it may be capitalised for its place.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        runs = set()
        for clause in re.split(r"[^\w\s'’-]+", text):
            words = [re.sub(r"['’]s$", "", word) for word in clause.split()]
            for upper, group in groupby(enumerate(words), key=lambda pair: pair[1][:1].isupper()):
                run = list(group)
                if upper:
                    starts = (0, 1) if run[0][0] == 0 else (0,)
                    runs |= {" ".join(word for _, word in run[start:]) for start in starts}
                    runs -= {words[0]} if run[0][0] == 0 else set()
        counts.update(runs - {""})
    return counts
