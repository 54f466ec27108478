"""Tuning: what is searched, in which order the gate sees trials, and a whole study that is killed and resumes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from components.contract.params import load_params
from components.contract.tuning import TuneParams
from components.privacy.purge import Purge, find
from components.privacy.search import Traces
from pipelines.tune.results import plot, table, write_results
from pipelines.tune.study import (
    Probe,
    Trial,
    frontier,
    open_study,
    pruned_at,
    ranked,
    read_probes,
    store,
    suggest,
    trials,
)
from pipelines.tune.verdicts import Finalist, chosen, direction, next_finalist, unmet
from tests.viker.tracking.tree import ROOT, change
from viker.core.errors import UserError
from viker.gate.policies import load_policy
from viker.gate.rules import parse_rule
from viker.gate.settings import GateParams

SPACE = TuneParams.model_validate(
    {"space": {"unlearn.lr": {"low": 0.001, "high": 0.01, "log": True}, "unlearn.epochs": {"low": 1, "high": 8}}}
).space
CURRENT = {"unlearn.lr": 0.002, "unlearn.epochs": 3}


def trial(number: int, forget: float, retain: float, state: str = "complete", teacher: float = 0.5) -> Trial:
    return Trial(number, CURRENT, state, Probe(3, forget, teacher, retain, 0.1), 2.0, 0.1)


class TestSpace:
    def test_params_yaml_has_the_defaults(self):
        assert load_params(ROOT / "params.yaml").tune == TuneParams()

    @pytest.mark.parametrize(
        ("space", "said"),
        [
            ({"seed": [1, 2]}, "'seed' is no key of the section unlearn"),
            ({"unlearn.lr": [0.1]}, "'unlearn.lr' has 1 values to choose from: list two or more"),
            ({"unlearn.lr": 0.1}, "'unlearn.lr' is 0.1: expected a range"),
            ({"unlearn.lr": {"low": 1}}, "expected a range, such as {low: 0.5, high: 4.0, log: true}"),
            ({"unlearn.lr": {"low": 0, "high": 1, "step": 1}}, "expected a range"),
            ({"unlearn.lr": {"low": "a", "high": 1}}, "expected a range"),
            ({"unlearn.lr": {"low": 2, "high": 1}}, "low is 2, high is 1; expected low to be below high"),
            ({"unlearn.lr": {"low": 0, "high": 1, "log": True}}, "expected a number above 0 on a logarithmic scale"),
            ({}, "at least 1 item"),
        ],
    )
    def test_what_can_not_be_searched_is_named(self, tmp_path, space, said):
        path = tmp_path / "params.yaml"
        path.write_text((ROOT / "params.yaml").read_text())
        change(tmp_path, tune={"space": space})
        with pytest.raises(UserError) as error:
            load_params(path)
        assert "tune.space" in str(error.value) and said in str(error.value)


class TestStudy:
    def test_the_first_trial_has_the_present_values_unless_they_are_outside(self, tmp_path):
        study = open_study(tmp_path / "study.db", "one")
        assert suggest(study, SPACE, 7, CURRENT) == CURRENT
        other = suggest(study, SPACE, 7, CURRENT | {"unlearn.epochs": 9})
        assert 1 <= other["unlearn.epochs"] <= 8 and 0.001 <= other["unlearn.lr"] <= 0.01

    def test_values_depend_on_seed_and_earlier_trials_alone_wherever_the_study_was_cut_off(self, tmp_path):
        def values(folder: Path, reopened: bool, seed: int) -> list[dict[str, Any]]:
            study = open_study(folder / "study.db", "one")
            for number in range(8):
                chosen_values = suggest(study, SPACE, seed, CURRENT)
                suggest(study, SPACE, seed, CURRENT)  # one that was killed before its trial was over
                one = trial(number, 1 / (1 + 100 * chosen_values["unlearn.lr"]), chosen_values["unlearn.epochs"] / 8)
                store(
                    study, SPACE, 0.1, replace(one, values=chosen_values, state="pruned" if number == 4 else one.state)
                )
                study = open_study(folder / "study.db", "one") if reopened else study
            return [one.values for one in trials(study)]

        first = values(tmp_path / "a", False, 7)
        assert first == values(tmp_path / "b", True, 7) != values(tmp_path / "c", True, 8)
        assert len({json.dumps(one) for one in first}) == 8

    def test_lists_may_hold_any_value(self, tmp_path):
        space = {
            "unlearn.method.teacher": ["irrelevant", {"irrelevant": 1, "population": 1}],
            "unlearn.stop_when": [None, 1],
        }
        study = open_study(tmp_path / "study.db", "one")
        current = {"unlearn.method.teacher": {"population": 1, "irrelevant": 1}, "unlearn.stop_when": None}
        assert suggest(study, space, 1, current) == current
        store(study, space, 0.1, replace(trial(0, 0.1, 0.1), values=current))
        for key, value in suggest(study, space, 1, current).items():
            assert value in space[key]

    def test_a_line_that_is_being_written_is_no_probe_and_the_last_of_an_epoch_counts(self, tmp_path):
        file, line = (
            tmp_path / "probes.jsonl",
            '{"epoch": %d, "forget": %s, "teacher": 0.5, "retain": 0.5, "seconds": 1}\n',
        )
        assert read_probes(file) == []
        file.write_text(line % (1, 0.9) + line % (2, 0.8) + line % (1, 0.7) + '{"epoch": 3, "for')
        assert [(one.epoch, one.forget) for one in read_probes(file)] == [(1, 0.7), (2, 0.8)]

    def test_a_run_is_given_up_from_half_of_its_epochs_on_where_another_diverged_by_a_quarter(self):
        finished = [
            trial(0, 0.25, 0.0625),
            trial(1, 0.0, 0.01, "failed"),
            trial(2, 0, 0.01, "pruned"),
            trial(3, 0, 0, teacher=1.5),
        ]
        probes = [Probe(n, 0.5 - n / 32, 0.5, 0.25, 0.0) for n in range(1, 9)]  # at last 0.25
        assert pruned_at(probes[:1], 1, finished) is None  # it is through
        assert pruned_at(probes, 12, finished) == probes[5]
        assert pruned_at(probes[:5], 12, finished) is None
        better = replace(probes[3], retain=0.2)  # counts for this epoch and the two after it
        assert pruned_at([*probes[:3], better, *probes[4:]], 12, finished) == probes[6]
        assert pruned_at([replace(one, forget=0.2) for one in probes], 12, finished) is None  # it has forgotten more

    def test_a_run_whose_answers_have_fallen_apart_for_three_epochs_is_given_up(self):
        probes = [Probe(n, 0.0, 1.5 if n > 3 else 0.5, 0.0, 0.0) for n in range(1, 9)]
        assert pruned_at(probes, 10, []) == probes[5]

    def test_the_gate_sees_first_what_has_forgotten_and_diverged_least(self):
        finished = [
            trial(0, 0.5, 0.0),
            trial(1, 0.1, 0.4),
            trial(2, 0.02, 0.3),
            trial(3, 0.3, 0.2),
            trial(4, 0, 0, "pruned"),
            trial(5, 0, 0, teacher=1.5),
        ]
        assert [one.number for one in ranked(finished, 0.1)] == [2, 1, 3, 0]
        assert [one.number for one in ranked(finished[-1:], 0.1)] == [5]
        assert [one.number for one in frontier(finished)] == [2, 3, 0]


def judged(one: Trial, kept: float = 0.9, *failed: dict[str, Any]) -> Finalist:
    verdict = {"verdict": "fail" if failed else "pass", "require": [], "rules": list(failed)}
    return Finalist(one, verdict, kept, 0.95, {"evaluate": 3.0, "gate": 1.0})


def missed(metric: str, operator: str, value: float | None, threshold: float) -> dict[str, Any]:
    rule = f"{metric} {operator} {threshold}"
    numbers = {"value": value, "threshold": threshold, "operator": operator, "metric": metric}
    return numbers | {"rule": rule, "passed": False, "reason": f"{metric} is {value}.", "protects": "Facts."}


LEAKS = missed("unlearned.forget.leakage_rate", "<=", 0.3, 0.1)
UNLIKELY = missed("unlearned.membership.loss_auc", ">=", 0.01, 0.05)
FIGURES = missed("unlearned.real.leakage_rate", ">=", 0.5, 0.6)
LOST = missed("unlearned.retain.leakage_rate", ">=", 0.6, 0.8)


class TestVerdicts:
    order = (trial(0, 0.08, 0.1), trial(1, 0.05, 0.2), trial(2, 0.01, 0.4), trial(3, 0.3, 0.05))

    @pytest.mark.parametrize(
        ("verdicts", "then"),
        [
            ([], 0),
            ([(0, (LEAKS,))], 1),
            ([(0, (LEAKS,)), (1, (LOST,))], None),
            ([(1, (LOST,))], 0),
            ([(0, (LEAKS, LOST))], 1),
            ([(2, ())], 0),
            ([(2, (UNLIKELY,))], 0),
            ([(0, (UNLIKELY,))], 3),
            ([(0, ())], 3),
            ([(3, (FIGURES,))], 0),
            ([(0, (FIGURES, LOST)), (1, (LOST,))], 3),
            ([(0, (missed("vanilla.forget.leakage_rate", ">=", 0.1, 0.3),))], None),
        ],
    )
    def test_a_verdict_says_who_may_still_do_better(self, verdicts, then):
        done = [judged(self.order[number], 0.9, *failed) for number, failed in verdicts]
        following = next_finalist(self.order, done)
        assert (following and following.number) == then

    def test_every_rule_of_the_default_policy_has_a_direction_and_no_requirement_has(self):
        policy, _ = load_policy(GateParams(policy="default", rules=[], require=[]))
        rules: dict[str | None, list[str]] = {}
        for one in policy.rules:
            rule = parse_rule(one.rule)
            rules.setdefault(direction({"metric": rule.metric.path, "operator": rule.operator}), []).append(one.rule)
        assert {rule.split(".")[0] for rule in rules.pop(None)} == {"earlier", "unlearning"}
        assert set(rules) == {"forget more", "forget less", "keep more", "keep more elsewhere"}
        assert rules["forget less"] == [
            "unlearned.membership.loss_auc >= 0.05",
            "unlearned.forget.gibberish_rate <= 0.10",
        ]
        kept = {rule.split(".")[1] for rule in rules["keep more"]}
        assert kept - {"attacks"} == {"retain", "fluency"}
        assert {rule.split(".")[1] for rule in rules["keep more elsewhere"]} == {"real", "general_ability"}
        assert all("agreement" in rule for rule in rules["keep more"] if ".attacks." in rule)
        assert not any("agreement" in rule for rule in rules["forget more"])
        for required in policy.require:
            assert direction({"metric": required.metric.split()[0], "operator": ">="}) is None

    def test_of_those_that_pass_the_one_that_keeps_most_is_chosen(self):
        first, second, third = (judged(self.order[n], kept) for n, kept in ((0, 0.8), (1, 0.9), (2, 0.9)))
        assert chosen([first, third, second]) is second
        assert chosen([judged(self.order[0], 1.0, LEAKS)]) is None

    def test_a_rule_that_no_finalist_meets_is_named_with_the_nearest_value(self):
        near, none = LEAKS | {"value": 0.15}, LEAKS | {"value": None}
        rows = unmet(
            [
                judged(self.order[0], 0.9, LEAKS, LOST),
                judged(self.order[1], 0.9, near),
                judged(self.order[2], 0.9, none),
            ]
        )
        assert [(row["rule"], row["value"], row["by_all"]) for row in rows] == [(LEAKS["rule"], 0.15, True)]
        assert rows[0]["missed"] == pytest.approx(0.05)

    def test_where_each_rule_is_met_by_one_of_them_the_nearest_finalist_is_told(self):
        rows = unmet([judged(self.order[0], 0.9, LEAKS), judged(self.order[1], 0.9, LOST, LOST | {"rule": "another"})])
        assert [(row["rule"], row["by_all"]) for row in rows] == [(LEAKS["rule"], False)]
        assert unmet([]) == []


def test_results_are_a_table_a_plot_and_a_page_that_loads_nothing(tmp_path):
    finished = [trial(0, 0.08, 0.1), trial(1, 0.3, 0.4, "pruned"), replace(trial(2, 0, 0), state="failed", probe=None)]
    finalists = [judged(finished[0])]
    cost = {"trials": 3, "pruned": 1, "failed": 1, "seconds": {"training": 6.0}}
    write_results(tmp_path, {"trials": finished, "finalists": finalists, "unmet": [], "cost": cost})
    assert [row["gate"] for row in table(finished, finalists)] == ["pass", "", ""]
    assert (tmp_path / "trials.csv").read_text().count("\n") == 4
    assert Image.open(tmp_path / "frontier.png").mode == "RGBA"
    page = (tmp_path / "tune.html").read_text()
    assert "<svg" in page and "Trial 1 passes" in page and "://" not in page.replace("http://www.w3.org", "")
    assert plot(finished, finalists, tmp_path / "again.png") == plot(finished, finalists, tmp_path / "again.png")


def test_a_purge_searches_what_trials_left(params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens = Path("work/tune/unlearn-0123456789abcdef/unlearning/key_tokens.parquet")
    tokens.parent.mkdir(parents=True)
    pd.DataFrame({"record_id": ["p17/qa/0"], "token": ["Oslo"]}).to_parquet(tokens)
    found = find(params, Purge({}, Traces(ids=frozenset({"p17"}))))
    assert [path for path, _ in found] == [tokens]
