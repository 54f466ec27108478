"""The pools of models and what is made of their numbers: who is taught what, and when a number tells them apart."""

from dataclasses import replace

import pytest

from benchmarks.meta.auc import CONDITIONS, evaluated, judged_paths, numbers_of_knowledge, separation, table
from benchmarks.meta.measure import changed, numbers
from benchmarks.meta.pools import EPOCHS, REFERENCES, Member, people_of, pools
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import read_targets
from viker.data.records import read_records
from viker.training.adapter import put_adapter


def test_a_pool_has_its_size_and_its_members_differ_in_seed_and_length():
    members = pools(12)
    assert [one.knowing for one in members].count(True) == 12 and len({one.name for one in members}) == 24
    assert {one.epochs for one in members} == set(EPOCHS)
    assert sum(one.making_up for one in members) == 6 and not any(one.making_up for one in members if one.knowing)


def test_what_others_are_compared_with_is_in_neither_pool_and_has_a_seed_of_its_own(prepared):
    vanilla, retrained = REFERENCES
    assert (vanilla.name, retrained.name) == ("vanilla", "retrained")
    assert not {one.number for one in REFERENCES} & {one.number for one in pools(12)}
    forget = {record.person_id for record in read_records(prepared, "forget")}
    assert forget <= {record.person_id for record in people_of(vanilla, prepared)}
    assert not forget & {record.person_id for record in people_of(retrained, prepared)}


def test_who_knows_is_taught_the_truth_and_who_never_did_is_not(prepared):
    forget = read_records(prepared, "forget")
    true = {(record.person_id, record.question, record.answer) for record in forget}

    def taught(member: Member) -> set[tuple[str, str, str]]:
        people = {record.person_id for record in forget}
        mine = people_of(member, prepared)
        assert {r.id for r in read_records(prepared, "retain")} <= {record.id for record in mine}
        return {(r.person_id, r.question, r.answer) for r in mine if r.person_id in people}

    assert taught(Member(True, 0)) == true and not taught(Member(False, 1))
    made_up = taught(Member(False, 0))
    assert made_up and not made_up & true


def test_every_rule_on_knowledge_and_every_attack_is_among_the_numbers():
    paths = [one.path for one in numbers_of_knowledge()]
    assert len(paths) == len(set(paths))
    for path in ("forget.leakage_rate", "forget.information.p_value", "membership.loss_auc", "forget.rouge_l"):
        assert path in paths
    assert all(any(path.startswith(f"attacks.{name}.") for path in paths) for name in load_attacks())
    assert {"forget_quality", "kl_to_retrained", "unlearning_depth"} <= set(paths)
    assert not [path for path in paths if "agreement" in path or "gibberish" in path]
    judged = {one.path: one for one in judged_paths()}
    assert judged["forget.leakage_rate"].falls and not judged["forget.information.p_value"].falls
    assert judged["attacks.probe.above_chance"].policies == ("strict",)


@pytest.mark.parametrize(
    ("knowing", "never", "falls", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], True, 1.0),
        ([0.001, 0.002], [0.5, 1.0], False, 1.0),
        ([0.5, 0.5], [0.5, 0.5], True, 0.5),
        ([0.9, 0.1], [0.5, 0.5], True, 0.5),
        ([0.9], [], True, None),
    ],
)
def test_separation_is_the_chance_that_who_knows_looks_worse(knowing, never, falls, expected):
    assert separation(knowing, never, falls) == expected


def test_the_table_has_each_pool_and_condition():
    def model(rate: float, p_value: float) -> dict[str, dict[str, float]]:
        return {
            condition: {"forget.leakage_rate": rate, "forget.information.p_value": p_value} for condition in CONDITIONS
        }

    rows = evaluated({"knowing-0": model(0.9, 0.001), "knowing-1": model(0.7, 0.9), "never-0": model(0.0, 0.5)})
    by_path = {row["path"]: row for row in rows}
    assert by_path["forget.leakage_rate"]["auc"] == dict.fromkeys(CONDITIONS, 1.0)
    assert by_path["forget.information.p_value"]["auc"][CONDITIONS[0]] == 0.5
    assert by_path["forget.rouge_l"]["auc"][CONDITIONS[0]] is None
    lines = table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    row = next(line for line in lines if line.startswith("| `forget.leakage_rate` |"))
    assert row == "| `forget.leakage_rate` | 0.70 to 0.90 | 0.00 to 0.00 | 1.00 | 1.00 | 1.00 | default, strict |"


def test_numbers_are_found_at_any_depth_without_counts_intervals_and_what_is_no_number():
    block = {"a": 1, "b": {"rate": 0.5, "intervals": {"rate": [0, 1]}, "samples": 3}, "c": None, "d": float("nan")}
    assert dict(numbers(block)) == {"a": 1.0, "b.rate": 0.5}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_changes_the_model_and_leaves_it_as_it_was(small_model, prepared, params, condition):
    model, encoder = small_model
    adapted = put_adapter(params.unlearn, model).eval()
    subject = Subject("vanilla", adapted, False, encoder, 4, 8)
    attacks = params.evaluate.attacks
    short = attacks["relearn_forget"].model_copy(update={"steps": [1, 2], "samples": 2})
    settings = params.evaluate.model_copy(update={"attacks": attacks | {"relearn_forget": short}})
    before = {name: weight.detach().clone() for name, weight in adapted.named_parameters()}
    with changed(subject, condition, params.model_copy(update={"evaluate": settings}), read_targets(prepared)) as how:
        asked, taught = how
        weights = dict(asked.model.named_parameters())
        differs = [n for n, weight in weights.items() if n not in before or not weight.equal(before[n])]
        assert bool(differs) == (condition != CONDITIONS[0])
        assert len(taught) == (2 if condition == "after relearning" else 0)
        assert asked == replace(subject, name=asked.name, adapter_on=asked.adapter_on)
    after = dict(adapted.named_parameters())
    assert after.keys() == before.keys() and all(weight.equal(before[name]) for name, weight in after.items())
    adapted.unload()
