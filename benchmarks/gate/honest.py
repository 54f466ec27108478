"""Adapters that have really forgotten: the demo's, of several seeds."""

from pathlib import Path

from benchmarks.demo.measure import from_scratch, with_base_set
from benchmarks.gate.once import code_hash, once
from benchmarks.gate.tree import Tree
from components.contract.params import Params
from components.finetune.run import run as finetune
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from viker.core.files import sha256_path

PREPARED_BY = ("components/prepare", "viker/data")


def honest(params: Params, seed: int, work: Path) -> Tree:
    """Return the demo's adapter of ``seed``, with its own people and vanilla model, evaluated."""
    params = params.model_copy(update={"seed": seed})
    tree = Tree(params, work / "prepared", work / "irrelevant", work / "vanilla", work / "adapter", work)
    asked = with_base_set(params)
    inputs = [seed, asked.model_dump(mode="json"), code_hash(*PREPARED_BY)]
    once(work / "prepared.json", inputs, lambda: prepare(asked, seed, tree.prepared, work / "validation"))
    data = sha256_path(tree.prepared / "manifest.json")
    inputs = [seed, params.sample.model_dump(mode="json"), data]
    once(work / "irrelevant.json", inputs, lambda: sample(params.sample, seed, tree.prepared, tree.irrelevant))
    section = from_scratch(params)
    inputs = [seed, section.model_dump(mode="json"), trained_on(tree)]
    once(work / "vanilla.json", inputs, lambda: finetune(section, seed, params.threads, tree.prepared, tree.vanilla))
    return forget(tree).evaluate()


def forget(tree: Tree) -> Tree:
    """Unlearn as the tree's params say."""
    params, out = tree.params, tree.out
    inputs = [params.seed, params.unlearn.model_dump(mode="json"), trained_on(tree), sha256_path(tree.vanilla)]
    once(
        out / "adapter.json",
        [*inputs, sha256_path(tree.irrelevant)],
        lambda: unlearn(
            params.unlearn,
            params.seed,
            params.threads,
            Arguments(tree.prepared, tree.vanilla, tree.irrelevant, tree.adapter, out / "unlearning", out / "state"),
        ),
    )
    return tree


def trained_on(tree: Tree) -> list[str]:
    """Return the SHA-256 of all that a model is trained on."""
    names = ("forget", "retain", "real", "base")  # they name their pictures by hash
    return [sha256_path(tree.prepared / f"{name}.parquet") for name in names]
