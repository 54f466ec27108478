"""From a failure to the files that the gate judges."""

import random
from dataclasses import replace
from pathlib import Path

from benchmarks.gate.failures import FAILURES, Failure
from benchmarks.gate.honest import trained_on
from benchmarks.gate.lessons import read_people
from benchmarks.gate.once import code_hash, once
from benchmarks.gate.tree import Tree
from benchmarks.gate.twenty import people_of_twenty
from viker.core.files import sha256_path

TAUGHT_BY = ("benchmarks/gate/lessons.py", "benchmarks/gate/teach.py", "benchmarks/gate/hidden.py")


def plant(failure: Failure, honest: Tree, work: Path) -> Tree:
    """Return the tree of a failure: an adapter that is taught it, or files that are changed."""
    out = work / failure.name.replace(" ", "_")
    if failure.doctor:
        return failure.doctor(honest, plant(FAILURES[0], honest, work), out)
    base = people_of_twenty(honest, work) if failure.many_people else honest
    tree = replace(base, adapter=out / "adapter", out=out)

    def teach() -> None:
        assert failure.lesson is not None
        lessons = failure.lesson(read_people(tree.prepared), random.Random(tree.params.seed))
        failure.teach(tree.params, tree.prepared, tree.vanilla, lessons, failure.steps, tree.adapter)

    inputs = [failure.name, failure.steps, tree.params.seed, code_hash(*TAUGHT_BY)]
    once(out / "adapter.json", [*inputs, trained_on(tree), sha256_path(tree.vanilla)], teach)
    return tree.evaluate()
