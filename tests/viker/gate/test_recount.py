"""What is counted again from the replies alone: of plain questions, and under attack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.viker.gate.conftest import honest
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.data.records import Record
from viker.data.samples import sample_of
from viker.evaluation.general_ability import count_ability, general_questions
from viker.evaluation.questions import Question
from viker.gate.integrity import ATTACKS_COUNTED, COUNTED
from viker.gate.recount import count, recount
from viker.gate.recount_attacks import recount_attacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.viker.gate.conftest import Tree


def question(number: int, person: str, modality: str = "image_text", task: str = "generation") -> Question:
    asked = Record(f"{number}", person, task, modality, "Where?", "In Oslo.", secrets=("Oslo",))
    return Question("forget", asked, sample_of(asked), asked.secrets)


FORGET = [
    *(question(0, "a"), question(1, "a"), question(2, "b"), question(3, "b")),
    *(question(4, "a", modality="text"), question(5, "c", task="cloze"), question(6, "c")),
]
SAID = ["In Oslo.", "In Oslonia.", "I can't say.", "to to to to", "oslo!", "In Oslo", "nowhere"]


def test_what_follows_from_replies_by_hand() -> None:
    """Five open questions with a picture, of which one leaks, about three people; one reply is a loop, one declines."""
    replies = {
        (model, "forget", q.record.id, ""): reply
        for model in ("vanilla", "unlearned")
        for q, reply in zip(FORGET, SAID, strict=True)
    }
    counted = count(FORGET, replies, 7)["unlearned"]["forget"]
    assert counted["leakage_rate"] == 1 / 5
    assert counted["people_leaked_rate"] == 1 / 3
    assert counted["text_only"]["leakage_rate"] == 1.0
    assert (counted["samples"], counted["people"]) == (7, 3)
    assert (counted["refusal_rate"], counted["cloze_accuracy"], counted["gibberish_rate"]) == (1 / 5, 0, 1 / 5)
    assert counted["intervals"]["people_leaked_rate"] == pytest.approx([0.0170, 0.8646], abs=1e-4)
    assert counted["rouge_l"] == pytest.approx((1 + 1 / 2) / 5)


@pytest.mark.parametrize(
    "change",
    [{"known": 1.0}, {"seen": 0.9}, {"intervals": {"seen": [0.5, 1.0]}}, {"samples": 480}, {"choices": "0123"}],
    ids=str,
)
def test_general_ability_is_counted_again_from_the_answers_that_were_chosen(tree: Tree, change: dict) -> None:
    wrong = "0" * len(general_questions())
    tree.edit(lambda m: m["unlearned"].update(general_ability=count_ability(wrong, wrong) | change), sealed=True)
    results = {one["rule"]: one for one in tree.judge()["require"]}
    assert "general_ability." in results[COUNTED]["reason"]


def test_predictions_that_cannot_be_read_name_file_and_stage(tree: Tree) -> None:
    tree.predictions.write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"predictions\.parquet: not readable .* 'viker evaluate'"):
        tree.judge()


def test_predictions_without_replies_name_what_is_missing(tree: Tree) -> None:
    pq.write_table(pa.table({"model": ["vanilla"]}), tree.predictions)
    with pytest.raises(UserError, match="reply"):
        tree.judge()


def objection(tree: Tree) -> str:
    """Return why the attacks' numbers are not believed; "" where they are."""
    metrics = json.loads(tree.metrics.read_text())
    how = (tree.params.evaluate, tree.params.seed, sha256_path(tree.adapter))
    (result,) = recount_attacks(metrics, tree.prepared, tree.attacks, *how)
    assert result["rule"] == ATTACKS_COUNTED
    return "" if result["passed"] else str(result["reason"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("paraphrase.leakage_rate", 0.01),
        ("prefix.people_leaked_rate", None),
        ("sampling.above_chance", -0.2),
        ("relearn_forget.chance_rate", 0.3),
        ("few_shot.samples", 500),
        ("few_shot.intervals.leakage_rate", [0.0, 0.01]),
        ("multiple_choice.intervals.above_chance", None),
        ("multiple_choice.by_likelihood.above_chance", -0.1),
        ("random.levels.p_value", 0.5),
        ("random.levels.worst", "opening: urgent"),
        ("random.alone.p_value", 0.5),
        ("sampling.leak_at_k.upper", 0.01),
        ("multiple_choice.by_likelihood.least_likely_rate", 0.2),
        ("multiple_choice.by_likelihood.intervals.least_likely_rate", [0.2, 0.3]),
        ("paraphrase.variants", {"data": 0.5}),
        ("invented", {"leakage_rate": 0.0}),
    ],
)
def test_an_attacks_number_that_is_not_the_replies_fails_even_sealed_anew(tree: Tree, path: str, value: Any) -> None:
    def change(metrics: dict[str, Any]) -> None:
        block = metrics["unlearned"]["attacks"]
        *groups, name = path.split(".")
        for group in groups:
            block = block[group]
        block[name] = value

    assert objection(tree) == ""
    tree.edit(change, sealed=True)
    assert f"unlearned.attacks.{path}" in objection(tree)


def test_the_gate_counts_attacks_again(tree: Tree) -> None:
    tree.edit(lambda metrics: metrics["vanilla"]["attacks"]["prefix"].update(leakage_rate=0.5), sealed=True)
    assert [one["rule"] for one in tree.judge()["require"] if not one["passed"]] == [ATTACKS_COUNTED]


def leak(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"replies": [row["reply"], row["answer"]]}  # the column 'leaked' goes on saying that it doesn't


@pytest.mark.parametrize(
    ("attack", "change", "words"),
    [
        ("sampling", leak, "unlearned.attacks.sampling.leakage_rate is 0, counted"),
        ("multiple_choice.by_likelihood", leak, "unlearned.attacks.multiple_choice.by_likelihood."),
        ("text_only", lambda row: row | {"question": "Easier?"}, "text_only of unlearned lacks 1 of"),
        ("random", lambda row: row | {"variant": "opening: urgent"}, "random of unlearned lacks 1 of"),
        ("random.alone", lambda row: row | {"question": "Easier?"}, "random.alone of unlearned lacks 1 of"),
        ("relearn_forget", lambda row: row | {"record_id": None}, "relearn_forget of unlearned lacks 1 of"),
        ("prefix", lambda row: row | {"record_id": "somebody/0"}, "1 questions are not among the data's"),
    ],
)
def test_replies_under_attack_are_read_again(tree: Tree, attack: str, change: Callable, words: str) -> None:
    rows = pq.read_table(tree.attacks).to_pylist()
    place = next(i for i, row in enumerate(rows) if (row["model"], row["attack"]) == ("unlearned", attack))
    rows[place] = change(rows[place])
    pq.write_table(pa.Table.from_pylist(rows), tree.attacks)
    tree.evaluate()
    assert words in objection(tree)


def test_what_guessing_gives_is_not_taken_from_the_file(tree: Tree) -> None:
    """Chance set higher in rows and numbers alike would make leakage look like luck."""
    rows = pq.read_table(tree.attacks).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {"chance": 0.5} for row in rows]), tree.attacks)
    metrics = json.loads(tree.metrics.read_text())
    metrics["unlearned"]["attacks"]["few_shot"] |= {"chance_rate": 0.5, "above_chance": -0.5}
    tree.evaluate(metrics)
    assert "attacks.few_shot.chance_rate is 0.5, counted 0" in objection(tree)


@pytest.mark.parametrize("attack", ["paraphrase", "quantised_int4", "relearn_retain", "multiple_choice.by_likelihood"])
def test_an_attack_thinned_to_one_question_is_seen(tree: Tree, attack: str) -> None:
    rows = pq.read_table(tree.attacks).to_pylist()
    kept = [row for row in rows if row["attack"] != attack]
    kept += [
        next(r for r in rows if (r["attack"], r["model"]) == (attack, model)) for model in ("vanilla", "unlearned")
    ]
    pq.write_table(pa.Table.from_pylist(kept), tree.attacks)
    assert f"{attack} of unlearned lacks" in objection(tree)


def test_attacks_that_params_switch_on_must_have_been_made(tree: Tree) -> None:
    pq.write_table(pq.read_table(tree.attacks).slice(0, 0), tree.attacks)
    metrics = json.loads(tree.metrics.read_text())
    for model in ("vanilla", "unlearned"):
        metrics[model]["attacks"] = {}
    tree.evaluate(metrics)
    assert "paraphrase of vanilla lacks" in objection(tree)


def test_settings_other_than_those_of_params_are_not_believed(tree: Tree) -> None:
    tree.edit(lambda metrics: metrics["settings"]["attacks"]["relearn_forget"].update(lr=1.0), sealed=True)
    assert "settings of the attacks are not those of params.yaml" in objection(tree)


def test_replies_under_attack_that_cannot_be_read_name_file_and_stage(tree: Tree) -> None:
    tree.attacks.write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"attacks\.parquet: not readable .* 'viker evaluate'"):
        tree.judge()
    pq.write_table(pa.table({"model": ["vanilla"]}), tree.attacks)
    with pytest.raises(UserError, match="replies"):
        tree.judge()


def test_gibberish_may_be_more_than_replies_alone_show_and_a_missing_number_is_left_to_the_rules(tree: Tree) -> None:
    """The vanilla model may find a reply strange that looks like a sentence: that is not counted again."""
    tree.answer(lambda model, split, record: "to to to to to to" if split == "forget" else honest(model, split, record))
    measured = tree.measured()
    forget = measured["unlearned"]["forget"]
    least = forget["gibberish_rate"]

    def counted() -> dict[str, Any]:
        how = (tree.prepared, tree.predictions, tree.params.evaluate.in_force(), tree.params.seed)
        return recount(measured, *how)[1]

    every = counted()
    assert every["passed"] and least > 0.5
    for value, passed in ((1.0, True), (least - 0.01, False), (None, False)):
        forget["gibberish_rate"] = value
        result = counted()
        assert result["passed"] == passed
        assert passed or f"counted at least {least:.6g}" in result["reason"]
    del forget["gibberish_rate"]
    assert int(counted()["reason"].split()[0]) == int(every["reason"].split()[0]) - 1
