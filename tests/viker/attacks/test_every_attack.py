"""What holds for every attack, whoever wrote it: a new one is tested here as soon as its file is there."""

import ast
import inspect
import sys

import pytest
import torch

from tests.viker.attacks.conftest import SEED
from viker.attacks.base.attack import AttackSettings, load_attacks
from viker.attacks.base.perform import perform
from viker.attacks.base.rates import COLUMNS, RATES
from viker.attacks.base.targets import Targets
from viker.gate.policies import policy_path, read_policy, shipped_policies
from viker.gate.recount_attacks import recount_attacks
from viker.gate.rules import parse_rule, value_of

ATTACKS = load_attacks()
MODELS = ("vanilla", "unlearned")
every_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))


def documented_fields(section):
    """Return the fields of a section's class that a docstring follows, its parents' included."""
    fields = set()
    for kind in section.__mro__[: section.__mro__.index(AttackSettings) + 1]:
        (definition,) = ast.parse(inspect.getsource(kind)).body
        for field, text in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                fields.add(field.target.id)
    return fields


@every_attack
def test_settings_have_defaults_and_docstrings(attack):
    assert attack.settings().enabled
    assert attack.settings.__doc__
    assert documented_fields(attack.settings) == set(attack.settings.model_fields)


@every_attack
def test_it_has_a_heading_a_source_and_says_what_it_needs(attack):
    module = sys.modules[getattr(attack.run, "func", attack.run).__module__]
    assert "Source" in module.__doc__
    assert attack.heading[0].isupper() and not attack.heading.endswith(".")
    assert len(attack.needs.split()) > 3


def test_params_yaml_has_a_section_for_every_attack(params):
    assert set(params.evaluate.attacks) == set(ATTACKS)


@every_attack
def test_its_block_has_all_rates_with_intervals_and_counts(attack, attacked, rows_of):
    for model in MODELS:
        block = attacked[0][model][attack.name]
        assert {*RATES, "intervals", "samples", "people"} <= set(block)
        assert set(block["intervals"]) == set(RATES)
        assert 0 <= block["leakage_rate"] <= 1
        low, high = block["intervals"]["leakage_rate"]
        assert low <= high
        assert block["samples"] == len(rows_of(attack.name, model)) > 0
        assert {side.name for side in attack.side_blocks} <= set(block)


@every_attack
def test_its_rows_say_what_was_asked_and_all_that_was_replied(attack, rows_of):
    for table in attack.tables:
        rows = rows_of(table)
        assert [*rows.columns] == [*COLUMNS, "model", "attack"]
        assert rows[["reply", "question", "person_id", "record_id", "leaked"]].notna().all().all()
        assert all(row["reply"] in list(row["replies"]) for _, row in rows.iterrows())


@every_attack
def test_both_models_are_asked_the_same(attack, rows_of):
    for table in attack.tables:
        vanilla, unlearned = (
            rows_of(table, model)[["record_id", "variant", "picture", "question"]].values.tolist() for model in MODELS
        )
        assert vanilla == unlearned


@every_attack
def test_the_seed_decides_the_outcome_and_the_model_is_as_before(attack, attacked, subjects, targets, sections):
    model = subjects[1].model
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    active = list(model.active_adapters)
    again = perform(attack, subjects[1], targets, sections[attack.name], SEED)
    assert again["block"] == attacked[0]["unlearned"][attack.name]
    rows = attacked[1][attacked[1]["model"] == "unlearned"]
    for table, values in again["rows"].items():
        assert str(values) == str(rows[rows["attack"] == table][list(COLUMNS)].to_numpy(dtype=object).tolist())
    assert list(model.active_adapters) == active
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


@every_attack
def test_without_data_it_has_nulls_and_a_reason_never_zeros(attack, subjects, sections):
    finished = perform(attack, subjects[0], Targets([], [], [], []), sections[attack.name], SEED)
    block = finished["block"]
    assert finished["rows"] == {}
    assert [block[name] for name in RATES] == [None] * len(RATES)
    assert block["samples"] == 0
    assert block["reason"].startswith("the data have no ")


@every_attack
def test_the_gate_counts_the_same_from_its_replies(
    attack, attacked, targets, prepared, sections, params, tmp_path, monkeypatch
):
    blocks, rows = attacked
    rows[rows["attack"].isin(attack.tables)].to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {model: {"attacks": {attack.name: blocks[model][attack.name]}} for model in MODELS}
    monkeypatch.setattr("viker.gate.recount_attacks.read_targets", lambda _: targets)  # with people besides the data's
    made = params.evaluate.model_copy(update={"attacks": {attack.name: sections[attack.name]}})
    how = (prepared, tmp_path / "attacks.parquet", made, SEED, "")
    (result,) = recount_attacks(metrics, *how)
    assert result["passed"], result["reason"]
    metrics["unlearned"]["attacks"][attack.name] |= {"people_leaked_rate": 0.123}
    (result,) = recount_attacks(metrics, *how)
    assert not result["passed"]


@pytest.mark.parametrize("name", shipped_policies())
def test_what_a_policy_says_of_attacks_is_measured(name, attacked, sections, params):
    policy = read_policy(policy_path(name))
    figures = params.evaluate.model_copy(update={"attacks": sections}).figures()
    metrics = {"unlearned": {"attacks": attacked[0]["unlearned"]}, "settings": figures}
    texts = [one.rule for one in policy.rules] + [one.metric for one in policy.require if set(one.metric) & set("<>")]
    terms = [rule.metric for rule in map(parse_rule, texts) if ".attacks." in rule.metric.path]
    assert [str(term) for term in terms if value_of(metrics, term) is None] == []
