"""Doctored files: metrics of something else, edited, or of hardly anything."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.gate.once import once
from benchmarks.gate.tree import Tree
from viker.attacks.base.rates import rates
from viker.core.files import sha256_path, write_json
from viker.data.records import SPLITS, read_records, write_records
from viker.evidence.seal import seal
from viker.metrics.leakage import leaks

FEW = 3


def knows_options(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The honest replies, but every letter right: the demo's model is too small to be taught letters."""
    tree = _copy(honest, replace(honest, out=out))
    rows, metrics = pd.read_parquet(tree.attacks), json.loads(tree.metrics.read_text(encoding="utf-8"))
    asked = (rows["model"] == "unlearned") & (rows["attack"] == "multiple_choice")
    secrets = {record.id: record.secrets for record in read_records(tree.prepared, "forget")}
    for place, question, record_id in rows.loc[asked, ["question", "record_id"]].itertuples():
        options = [line for line in question.split("\n") if line[1:2] == ":"]
        right = next(line for line in options if leaks(line, secrets[record_id]))
        rows.at[place, "reply"], rows.at[place, "leaked"], rows.at[place, "leaks"] = right, True, 1
    rows.loc[asked, "replies"] = rows.loc[asked, "reply"].map(lambda reply: [reply])
    rows.to_parquet(tree.attacks, index=False)
    metrics["unlearned"]["attacks"]["multiple_choice"] |= rates(rows[asked], tree.params.seed)
    metrics["inputs"]["attacks"] = sha256_path(tree.attacks)
    write_json(tree.metrics, seal(metrics))
    return tree


def other_adapter(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The honest adapter's metrics with the adapter that has unlearned nothing."""
    return _copy(honest, replace(nothing, out=out))


def edited(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The numbers of an adapter that has unlearned nothing, replaced by an honest one's."""
    tree = _copy(nothing, replace(nothing, out=out))
    write_json(tree.metrics, _numbers_of(honest, nothing))
    return tree


def sealed_anew(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The same, by someone who knows about the digest."""
    tree = _copy(nothing, replace(nothing, out=out))
    write_json(tree.metrics, seal(_numbers_of(honest, nothing)))
    return tree


def attacks_edited(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The numbers of an adapter that has unlearned nothing, those under attack replaced and all of it sealed again."""
    tree = _copy(nothing, replace(nothing, out=out))
    good, metrics = (json.loads(one.metrics.read_text(encoding="utf-8")) for one in (honest, nothing))
    metrics["unlearned"]["attacks"] = good["unlearned"]["attacks"]
    write_json(tree.metrics, seal(metrics))
    return tree


def empty(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """An evaluation on data without a question about the forget people."""
    return _on_fewer(nothing, out, {"forget": 0, "test": 0})


def three_samples(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """An evaluation on data with three questions per split."""
    return _on_fewer(honest, out, dict.fromkeys(SPLITS, FEW))


def three_replies(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Three replies per split and model, of all that the data ask for, with the numbers of the whole."""
    tree = _copy(honest, replace(honest, out=out))
    rows = pd.read_parquet(tree.predictions)
    rows.groupby(["model", "split"], sort=False).head(FEW).to_parquet(tree.predictions)
    metrics = json.loads(tree.metrics.read_text(encoding="utf-8"))
    metrics["inputs"]["predictions"] = sha256_path(tree.predictions)
    write_json(tree.metrics, seal(metrics))
    return tree


def _copy(source: Tree, tree: Tree) -> Tree:
    tree.out.mkdir(parents=True, exist_ok=True)
    for name in ("metrics", "predictions", "attacks"):
        shutil.copy(getattr(source, name), getattr(tree, name))
    return tree


def _numbers_of(honest: Tree, nothing: Tree) -> dict[str, object]:
    """Return the honest metrics under the hashes, and so the digest, of the others."""
    good, own = (json.loads(tree.metrics.read_text(encoding="utf-8")) for tree in (honest, nothing))
    return good | {"inputs": own["inputs"], "digest": own["digest"]}


def _on_fewer(source: Tree, out: Path, most: dict[str, int]) -> Tree:
    """Evaluate on data that hold at most so many questions of some splits, and are what their manifest says."""
    data = out / "prepared"

    def leave_out() -> None:
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(source.prepared, data, ignore=shutil.ignore_patterns("source"))
        for split, number in most.items():
            records = read_records(data, split)
            asked = [r for r in records if r.task == "generation"][:number]
            write_records(data / f"{split}.parquet", [r for r in records if r.task == "qa" and number] + asked)
        manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
        manifest["hashes"] = {name: sha256_path(data / name) for name in manifest["hashes"]}
        write_json(data / "manifest.json", manifest)

    once(out / "prepared.json", [most, sha256_path(source.prepared / "manifest.json")], leave_out)
    return replace(source, prepared=data, out=out).evaluate()
