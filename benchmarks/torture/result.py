"""What came of a case, and the count of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from tqdm import tqdm


@dataclass(frozen=True)
class Case:
    """One fault that was provoked, and what was wrong afterwards: nothing, if all held."""

    what: str
    faults: list[str]


@dataclass(frozen=True)
class Count:
    """How many cases of a kind were tried, and those in which something was wrong."""

    kind: str
    tried: int
    failed: list[Case]


def count(kind: str, cases: Iterable[Case]) -> Count:
    """Try the cases, with a progress bar, and count them."""
    tried, failed = 0, []
    for case in tqdm(cases, desc=kind, unit="case"):
        tried += 1
        if case.faults:
            failed.append(case)
            tqdm.write(f"{kind}: {case.what}: {'; '.join(case.faults)}")
    return Count(kind, tried, failed)
