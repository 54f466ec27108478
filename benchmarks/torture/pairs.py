"""Every pair of stages at once in one work tree: the outputs end as those of one after the other."""

import itertools
from collections.abc import Iterator

from benchmarks.torture.result import Case
from benchmarks.torture.signals import last_line
from benchmarks.torture.tree import Reference
from components.contract.stages import stages


def races(reference: Reference) -> Iterator[Case]:
    """Start every pair of stages, each with itself too, at the same time; then each of the two once more."""
    for pair in itertools.combinations_with_replacement(stages(), 2):
        yield race(reference, pair)


def race(reference: Reference, pair: tuple[str, str]) -> Case:
    """Start two stages at once, then each once more, and say what is wrong, if anything."""
    with reference.copy("pair") as tree:
        ended = [process.communicate()[0] for process in [tree.start(tree.command(stage)) for stage in pair]]
        faults = [f"traceback: {last_line(out)}" for out in ended if "Traceback" in out]
        faults += [f"torn: {path}" for stage in pair for path in reference.torn(tree, stage)]
        for stage in dict.fromkeys(pair):
            code, out = tree.run(tree.command(stage))
            faults += [f"{stage} afterwards: exit code {code}: {last_line(out)}"] if code else []
        faults += [f"other bytes: {path}" for stage in stages() for path in reference.torn(tree, stage)]
    return Case(" and ".join(pair), faults)
