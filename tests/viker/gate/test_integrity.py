"""Metrics count only as they were written, and for the files that they were measured on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from viker.core.files import sha256_path
from viker.data.records import read_records
from viker.gate.integrity import ATTACKS_COUNTED, COMPLETE, COUNTED, FLOORS_COUNTED, SEALED, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.viker.gate.conftest import Tree


def failed(verdict: dict[str, Any]) -> list[str]:
    return [one["rule"] for one in (*verdict["require"], *verdict["rules"]) if not one["passed"]]


def lower(metrics: dict[str, Any]) -> None:
    metrics["vanilla"]["membership"]["loss_auc"] = 0.8


def test_an_honest_evaluation_meets_all_of_it(tree: Tree) -> None:
    verdict = tree.judge()
    assert failed(verdict) == [], [one["reason"] for one in verdict["require"] if not one["passed"]]
    adapter = next(r for r in verdict["require"] if r["rule"] == "the metrics were measured on this adapter")
    assert adapter["reason"] == f"SHA-256 {sha256_path(tree.adapter)[:12]}…."


def test_metrics_edited_by_hand_fail(tree: Tree) -> None:
    tree.edit(lower)
    verdict = tree.judge()
    assert failed(verdict) == [SEALED]
    assert "doesn't match the content: it was edited" in verdict["require"][0]["reason"]


def test_metrics_without_a_digest_fail(tree: Tree) -> None:
    tree.edit(lambda metrics: metrics.pop("digest"))
    verdict = tree.judge()
    assert failed(verdict) == [SEALED]
    assert "is missing" in verdict["require"][0]["reason"]


@pytest.mark.parametrize("name", ["adapter", "model", "data", "params", "predictions", "attacks"])
def test_each_hash_that_is_another_or_missing_fails_alone(tree: Tree, name: str) -> None:
    for change, said in (
        (lambda m: m["inputs"].update({name: "0" * 64}), f"{name} is 000000000000… in the metrics, but "),
        (lambda m: m["inputs"].pop(name), f"{name} is not in the metrics, but "),
    ):
        tree.edit(change, sealed=True)
        verdict = tree.judge()
        assert [rule for rule in failed(verdict) if name in rule] == failed(verdict) != []
        reason = next(r["reason"] for r in verdict["require"] if not r["passed"])
        assert said in reason and "here: run 'viker evaluate' again" in reason


@pytest.mark.parametrize(("name", "word"), [("adapter", "adapter"), ("vanilla", "model")])
def test_metrics_of_another_adapter_or_model_fail(tree: Tree, name: str, word: str) -> None:
    (getattr(tree, name) / "model.safetensors").write_bytes(b"another")
    # the adapter's hash decides what the random attack asks, and its unlearning run is another's
    drawn_anew = [ATTACKS_COUNTED, FLOORS_COUNTED] if word == "adapter" else []
    assert failed(tree.judge()) == [f"the metrics were measured on this {word}", *drawn_anew]


def test_metrics_measured_with_other_params_fail(tree: Tree) -> None:
    fewer = tree.params.evaluate.model_copy(update={"max_new_tokens": 1})
    tree.params = tree.params.model_copy(update={"evaluate": fewer})
    assert failed(tree.judge()) == [
        "the metrics were measured with these params",
        "the metrics were measured by this protocol",
    ]


def test_data_changed_behind_the_manifest_fail(tree: Tree) -> None:
    (tree.prepared / "pictures.parquet").write_bytes(b"other faces")
    verdict = tree.judge()
    assert failed(verdict) == [WHOLE, ATTACKS_COUNTED]
    assert "pictures.parquet" in next(r["reason"] for r in verdict["require"] if r["rule"] == WHOLE)


def test_a_manifest_without_hashes_proves_nothing(tree: Tree) -> None:
    manifest = json.loads((tree.prepared / "manifest.json").read_text())
    (tree.prepared / "manifest.json").write_text(json.dumps(manifest | {"hashes": {}}))
    tree.evaluate()
    assert failed(tree.judge()) == [WHOLE]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("unlearned.test.leakage_rate", 0.01),
        ("unlearned.retain.leakage_rate", 0.99),
        ("unlearned.forget.people_leaked_rate", None),
        ("vanilla.forget.samples", 999),
        ("unlearned.real.text_only.leakage_rate", 0.5),
        ("unlearned.forget.cloze_accuracy", 0.01),
        ("unlearned.retain.refusal_rate", 0.01),
        ("unlearned.retain.rouge_l", 0.99),
        ("unlearned.retain.kept.people_lost_rate", 0.5),
        ("unlearned.forget.information.p_value", 0.9),
        ("unlearned.forget.intervals.leakage_rate", [0.0, 0.01]),
        ("unlearned.forget.measurable_people_rate", 0.5),
    ],
)
def test_numbers_that_are_not_the_replies_fail_even_sealed_anew(tree: Tree, path: str, value: float | None) -> None:
    def change(metrics: dict[str, Any]) -> None:
        *groups, name = path.split(".")
        for group in groups:
            metrics = metrics[group]
        metrics[name] = value

    tree.edit(change, sealed=True)
    verdict = tree.judge()
    assert COUNTED in failed(verdict)
    assert path in next(r["reason"] for r in verdict["require"] if r["rule"] == COUNTED)


def without_the_hard_ones(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] != "test" or row["model"] == "vanilla"]


def easy_ones_twice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows + [row for row in rows if row["split"] == "retain"][:1]


def of_others(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"record_id": f"other/{row['record_id']}"} for row in rows]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (without_the_hard_ones, "not asked (the first: unlearned, test,"),
        (lambda rows: rows[:3], "not asked"),
        (easy_ones_twice, "1 asked twice or not in the data"),
        (of_others, "asked twice or not in the data"),
    ],
)
def test_an_evaluation_of_other_questions_than_the_datas_fails(tree: Tree, change: Callable, word: str) -> None:
    tree.write_rows(change(tree.rows()))
    tree.evaluate()
    verdict = tree.judge()
    assert COMPLETE in failed(verdict)
    assert word in next(r["reason"] for r in verdict["require"] if r["rule"] == COMPLETE)


@pytest.mark.parametrize("split", ["retain", "test"])
def test_nobody_but_the_person_in_the_example_may_be_left_out(tree: Tree, split: str) -> None:
    rows = tree.rows()
    choices = [r for r in rows if r["split"] == split and "/classification/" in r["record_id"] and r["picture"]]
    left_out = min(row["person_id"] for row in choices)
    tree.write_rows([row for row in rows if row not in choices or row["person_id"] != left_out])
    tree.evaluate()
    assert COMPLETE in failed(tree.judge())


def test_the_person_in_the_example_may_not_be_asked_for_what_the_prompts_say(tree: Tree) -> None:
    records = {record.id: record for record in read_records(tree.prepared, "retain")}
    asked = {row["record_id"] for row in tree.rows()}
    shown = [r for r in records.values() if r.task == "classification" and r.id not in asked]
    assert {len({r.person_id for r in shown if r.modality == modality}) for modality in ("image_text", "text")} == {1}
    extra = {"model": "vanilla", "split": "retain", "record_id": shown[0].id, "picture": "".join(shown[0].images[:1])}
    tree.write_rows([*tree.rows(), extra | {"person_id": shown[0].person_id, "reply": "A"}])
    tree.evaluate()
    assert COMPLETE in failed(tree.judge())
