"""Adapters that have really forgotten: the demo's, of several seeds."""

from pathlib import Path

from benchmarks.gate.tree import Tree
from components.common.params import Params
from components.finetune.run import run as finetune
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn


def honest(params: Params, seed: int, work: Path) -> Tree:
    """Return the demo's adapter of ``seed``, with its own people and vanilla model; what is there is used again."""
    params = params.model_copy(update={"seed": seed})
    tree = Tree(params, work / "prepared", work / "irrelevant", work / "vanilla", work / "adapter", work)
    if not tree.prepared.exists():
        prepare(params.prepare, seed, tree.prepared, work / "validation")
    if not tree.irrelevant.exists():
        sample(params.sample, seed, tree.prepared, tree.irrelevant)
    if not tree.vanilla.exists():
        finetune(params.finetune, seed, params.threads, tree.prepared, tree.vanilla)
    forget(tree, work)
    return tree.evaluate()


def forget(tree: Tree, work: Path) -> None:
    """Unlearn as params.yaml says."""
    if tree.adapter.exists():
        return
    unlearn(
        tree.params.unlearn,
        tree.params.seed,
        tree.params.threads,
        tree.prepared,
        tree.vanilla,
        tree.irrelevant,
        tree.adapter,
        work / "unlearning",
        work / "state",
    )
