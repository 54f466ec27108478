"""What teaches a question without a picture: the same question about nobody, by names that no one in the data has."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, permutations
from typing import Any

import torch
from torch import Tensor

from viker.data.records import Record
from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.teacher.distributions import TeacherDistributions, compact
from viker.teacher.visual import compute_teachers, teacher_probabilities

INVENTED = ("Maren Tosk", "Ilan Corvey", "Sunniva Dahlke", "Teodor Plass", "Oriel Vantis")
"""Names for data with too few names to put new ones together from."""
COUNT = 5
"""How many names a question is asked with; the teacher is the mean, as over irrelevant images."""
SHORTEST = 3
"""Letters that a part of a name must have to be replaced where it stands alone."""


def names_in_text(records: Iterable[Record]) -> dict[str, str]:
    """Return by record ID the name of the person that a record without a picture is about, where one is found.

    It is the answer of the person's record of the task recognition; without one, a run of capitalised words in at least
    half of the person's questions without a picture, and in no other person's: the run of two words or more that
    questions and answers have most often, else the one word.
    """
    known: dict[str, str] = {}
    texts: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.task == "recognition":
            known.setdefault(record.person_id, record.answer)
        if not record.images:
            texts[record.person_id].append(record)
    asked = {person: _runs(record.question for record in own) for person, own in texts.items()}
    people = Counter(run for counts in asked.values() for run in counts)
    for person, counts in asked.items():
        said = counts + _runs(record.answer for record in texts[person])
        enough = [run for run in counts if people[run] == 1 and 2 * counts[run] >= len(texts[person])]
        if person not in known and enough:
            known[person] = max(enough, key=lambda run: (" " in run, said[run], len(run)))
    return {record.id: known[person] for person, own in texts.items() if person in known for record in own}


def names_of_nobody(names: Mapping[str, str], forget: Collection[str], seed: int) -> tuple[str, ...]:
    """Return ``COUNT`` names that nobody has: the first word of one retained person's name and the last of another's.

    So they look like the data's own, whatever the language. No word of them is in a forgotten person's name. Of fewer
    than ``COUNT`` such names the data has too few to put together, and ``INVENTED`` is returned.

    Args:
        names: by record ID, of ``names_in_text``, of forgotten and retained people.
        forget: IDs of the records to forget.
        seed: draws the names.
    """
    taken = {word for record, name in names.items() if record in forget for word in name.split()}
    kept = sorted({n for record, n in names.items() if record not in forget and taken.isdisjoint(n.split())})
    kept = [name for name in kept if " " in name]
    pairs = [(a.split()[0], b.split()[-1]) for a, b in permutations(random.Random(seed).sample(kept, len(kept)), 2)]
    new = list(dict.fromkeys(name for name in map(" ".join, pairs) if name not in set(names.values())))
    return tuple(random.Random(seed).sample(new, COUNT)) if len(new) >= COUNT else INVENTED


def about(text: str, name: str, other: str) -> str:
    """Return the text with ``other`` in place of ``name``, and of its first and last word where they stand alone."""
    parts = {name.split()[0]: other.split()[0], name.split()[-1]: other.split()[-1]} | {name: other}
    return _mentions(name).sub(lambda found: parts[found[0]], text)


@dataclass(frozen=True)
class Nobody:
    """Whom the questions without a picture are about, ``names`` by record ID, and ``others``: names that nobody has."""

    names: Mapping[str, str]
    others: tuple[str, ...]

    @classmethod
    def among(cls, forget: Sequence[Record], retain: Sequence[Record], seed: int) -> "Nobody":
        """Find the names in the records, and draw those of nobody."""
        names = names_in_text([*forget, *retain])
        return cls(names, names_of_nobody(names, {record.id for record in forget}, seed))

    def nameless(self, samples: Sequence[Sample]) -> list[str]:
        """Return the record IDs of the samples without a picture whose person's name was not found."""
        return [s.record_id for s in samples if not s.picture and s.record_id not in self.names]


def teach(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    images: Sequence[Sequence[str]],
    nobody: Nobody,
    batch_size: int,
) -> list[TeacherDistributions]:
    """Return each sample's teacher: ``compute_teachers`` if it has a picture, else ``teach_without_picture``."""
    shown = [i for i, sample in enumerate(samples) if sample.picture]
    told = [i for i, sample in enumerate(samples) if not sample.picture]
    seen = [images[i] for i in shown]
    teachers = dict(
        zip(shown, compute_teachers(model, encoder, [samples[i] for i in shown], seen, batch_size), strict=True)
    )
    teachers |= zip(
        told, teach_without_picture(model, encoder, [samples[i] for i in told], nobody, batch_size), strict=True
    )
    return [teachers[i] for i in range(len(samples))]


@torch.no_grad()
def teach_without_picture(
    model: Any, encoder: Encoder, samples: Sequence[Sample], nobody: Nobody, batch_size: int
) -> list[TeacherDistributions]:
    """Return for each sample without a picture the teacher's distributions [T, V] at its T answer tokens, on the CPU.

    p_t = 1/k sum_j p(. | x_j, y_j,<t): question and true prefix with the j-th of the k names of nobody in place of the
    person's, no picture, by the frozen model. At the tokens of the name itself, which the question gives away, and for
    a sample whose name isn't known, it is the frozen model's answer to the question as it stands.

    Source: this project, after the irrelevant images of Cai et al., arXiv 2601.22020.
    """
    teachers: list[TeacherDistributions] = []
    for start in range(0, len(samples), batch_size):
        group = samples[start : start + batch_size]
        own = _unseen(model, encoder, group)
        sums, counts = [torch.zeros_like(p) for p in own], [torch.zeros(len(p), 1) for p in own]
        named = [
            (i, sample, nobody.names[sample.record_id])
            for i, sample in enumerate(group)
            if sample.record_id in nobody.names
        ]
        for other in nobody.others if named else ():
            renamed = [
                replace(s, prompt=about(s.prompt, name, other), answer=about(s.answer, name, other))
                for _, s, name in named
            ]
            for (i, sample, name), new, p in zip(named, renamed, _unseen(model, encoder, renamed), strict=True):
                here, there = _aligned(encoder, sample, name, new, other)
                sums[i][here] += p[there]
                counts[i][here] += 1
        means = (torch.where(n > 0, s / n.clamp(min=1), p) for s, n, p in zip(sums, counts, own, strict=True))
        teachers += map(compact, means)
    return teachers


def _unseen(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> list[Tensor]:
    return teacher_probabilities(model, encoder, samples, [("",)] * len(samples), len(samples))


def _mentions(name: str) -> re.Pattern[str]:
    """Return what finds a name, or its first or last word where it stands alone."""
    alone = [word for word in dict.fromkeys((name.split()[0], name.split()[-1])) if len(word) >= SHORTEST]
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, dict.fromkeys((name, *alone))))})(?!\w)")


def _aligned(encoder: Encoder, own: Sample, name: str, renamed: Sample, other: str) -> tuple[list[int], list[int]]:
    """Return the places of the answer tokens that two answers share, names left out, in each of them."""
    (here, first), (there, second) = _around(encoder, own, name), _around(encoder, renamed, other)
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    pairs = [(here[a + n], there[b + n]) for a, b, size in blocks for n in range(size)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _around(encoder: Encoder, sample: Sample, name: str) -> tuple[list[int], list[int]]:
    """Return places and ids of the answer's tokens that are no part of ``name``."""
    ids, count = encoder.encode(sample)
    named = [found.span() for found in _mentions(name).finditer(sample.answer)]
    spans = encoder.answer_places(sample)
    places = [n for n, (a, b) in enumerate(spans) if not any(a < end and start < b for start, end in named)]
    return places, [ids[-count:][n] for n in places]


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
