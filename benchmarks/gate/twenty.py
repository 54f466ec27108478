"""The demo's people with twenty of them to be forgotten in place of four: enough for one among many."""

from dataclasses import replace
from pathlib import Path

from benchmarks.gate.tree import Tree
from components.common.records import read_records
from components.prepare.run import run as prepare
from components.sample.run import run as sample

PEOPLE = 20


def people_of_twenty(honest: Tree, work: Path) -> Tree:
    """Return the tree with ``PEOPLE`` on the forget list; the vanilla model knows all people either way."""
    tree = replace(honest, prepared=work / "twenty" / "prepared", irrelevant=work / "twenty" / "irrelevant")
    known = {r.person_id for split in ("forget", "retain") for r in read_records(honest.prepared, split)}
    section = honest.params.prepare.model_copy(update={"forget_ids": sorted(known)[:PEOPLE]})
    tree = replace(tree, params=honest.params.model_copy(update={"prepare": section}))
    if not tree.prepared.exists():
        prepare(section, tree.params.seed, tree.prepared, work / "twenty" / "validation")
    if not tree.irrelevant.exists():
        sample(tree.params.sample, tree.params.seed, tree.prepared, tree.irrelevant)
    return tree
