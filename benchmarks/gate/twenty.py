"""The demo's people with twenty of them to be forgotten instead of four: enough for one among many."""

from dataclasses import replace
from pathlib import Path

from benchmarks.gate.honest import PREPARED_BY
from benchmarks.gate.once import code_hash, once
from benchmarks.gate.tree import Tree
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from viker.core.files import sha256_path
from viker.data.records import read_records

PEOPLE = 20


def people_of_twenty(honest: Tree, work: Path) -> Tree:
    """Return the tree with ``PEOPLE`` on the forget list; the vanilla model knows all people either way."""
    tree = replace(honest, prepared=work / "twenty" / "prepared", irrelevant=work / "twenty" / "irrelevant")
    known = {r.person_id for split in ("forget", "retain") for r in read_records(honest.prepared, split)}
    section = honest.params.prepare.model_copy(update={"forget_ids": sorted(known)[:PEOPLE]})
    tree = replace(tree, params=honest.params.model_copy(update={"prepare": section}))
    seed, out = tree.params.seed, work / "twenty"
    inputs = [seed, section.model_dump(mode="json"), code_hash(*PREPARED_BY)]
    once(out / "prepared.json", inputs, lambda: prepare(section, seed, tree.prepared, out / "validation"))
    inputs = [seed, tree.params.sample.model_dump(mode="json"), sha256_path(tree.prepared / "manifest.json")]
    once(out / "irrelevant.json", inputs, lambda: sample(tree.params.sample, seed, tree.prepared, tree.irrelevant))
    return tree
