"""From a failure to the files that the gate judges."""

import random
from dataclasses import replace
from pathlib import Path

from benchmarks.gate.failures import FAILURES, Failure
from benchmarks.gate.lessons import read_people
from benchmarks.gate.tree import Tree
from benchmarks.gate.twenty import people_of_twenty


def plant(failure: Failure, honest: Tree, work: Path, rng: random.Random) -> Tree:
    """Return the tree of a failure: an adapter that is taught it, or files that are changed."""
    out = work / failure.name.replace(" ", "_")
    if failure.doctor:
        return failure.doctor(honest, plant(FAILURES[0], honest, work, rng), out)
    base = people_of_twenty(honest, work) if failure.many_people else honest
    tree = replace(base, adapter=out / "adapter", out=out)
    if not tree.adapter.exists():
        assert failure.lesson is not None
        lessons = failure.lesson(read_people(tree.prepared), rng)
        failure.teach(tree.params, tree.prepared, tree.vanilla, lessons, failure.steps, tree.adapter)
    return tree.evaluate()
