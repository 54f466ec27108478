"""From a failure to the files that the gate judges."""

import random
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.gate.failures import FAILURES, Failure
from benchmarks.gate.honest import trained_on
from benchmarks.gate.lessons import read_people
from benchmarks.gate.once import code_hash, once
from benchmarks.gate.tree import Tree
from benchmarks.gate.twenty import people_of_twenty
from viker.core.files import new_file, sha256_path
from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.evidence.training_summary import RECORDS, write_summary
from viker.metrics.base.floors import COLUMNS, spans_of_values, summarised
from viker.metrics.base.private_values import judged

TAUGHT_BY = (
    "benchmarks/gate/lessons.py",
    "benchmarks/gate/plant.py",
    "benchmarks/gate/teach.py",
    "benchmarks/gate/hidden.py",
)


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
        summarise(tree, failure.name)

    inputs = [failure.name, failure.steps, tree.params.seed, code_hash(*TAUGHT_BY)]
    once(out / "adapter.json", [*inputs, trained_on(tree), sha256_path(tree.vanilla)], teach)
    return tree.evaluate()


def summarise(tree: Tree, method: str) -> None:
    """Write the records of the training as unlearn does: it has no teacher, so no private token has a floor."""
    splits = {split: read_records(tree.prepared, split) for split in ("forget", "retain")}
    rows = [
        (one.id, one.person_id, one.question, value, 0, "", 0.0, 0.0, 0.0, 0.0)
        for one in judged(splits)["forget"]
        for value, _ in enumerate(spans_of_values(sample_of(one).answer, one.secrets))
    ]
    private = pd.DataFrame(rows, columns=COLUMNS)
    for name in RECORDS:
        with new_file(tree.unlearning / name) as path:
            private.to_parquet(path, index=False) if name == "private_tokens.parquet" else path.write_text("\n")
    summary = {"method": method, "start_from": None, "private_tokens": summarised(private)}
    write_summary(tree.unlearning, summary, tree.adapter)
