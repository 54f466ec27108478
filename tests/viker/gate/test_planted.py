"""The planted failures of benchmarks/gate, as they were measured: today's policies must still catch them.

What is changed in files, not in an adapter, is planted again in test_integrity.py.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gate.failures import FAILURES, Failure
from tests.viker.gate.test_earlier import FACT
from viker.attacks.base.outcome import Attempt
from viker.data.samples import sample_of
from viker.evaluation.earlier import Guarded, count_earlier
from viker.gate.judge import judge
from viker.gate.policies import FOLDER, read_policy
from viker.gate.rules import apply_rule, parse_rule

ASKED = [Attempt(replace(FACT, id=f"{n}/generation/0", person_id=f"{n}"), sample_of(FACT)) for n in range(20)]
EARLIER = count_earlier(Guarded(ASKED, kept=1, read=1), ["Somewhere else."] * len(ASKED), [], 7)
MEASURED: dict[str, Any] = {
    name: metrics | {"earlier": EARLIER}
    for name, metrics in json.loads((Path(__file__).parent / "measured.json").read_text(encoding="utf-8")).items()
}
"""The adapters were measured where nobody had been forgotten before them."""
HONEST = [name for name in MEASURED if name.startswith("honest")]
KNOWN_BY_NO_TOY = ("unlearned.general_ability.known >= 0.85 * vanilla.general_ability.known",)
"""Judged where the vanilla model has common knowledge, which these have not."""
REAL = [failure for failure in FAILURES if failure.lesson and failure.name in MEASURED]


def unmet(policy: str, metrics: dict[str, Any]) -> list[str]:
    verdict = judge(read_policy(FOLDER / f"{policy}.yaml"), metrics, [])
    failed = [one["rule"] for one in (*verdict["require"], *verdict["rules"]) if not one["passed"]]
    assert (verdict["verdict"] == "fail") == bool(failed)
    return failed


def test_adapters_of_five_seeds_are_among_them() -> None:
    assert len(HONEST) == 5


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_adapter_passes(name: str) -> None:
    assert unmet("default", MEASURED[name]) == []
    assert unmet("benchmark", MEASURED[name]) == []
    page = (Path(__file__).parents[3] / "docs/gate.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {name} |"))
    assert "| pass |" in row


@pytest.mark.parametrize("failure", REAL, ids=lambda failure: failure.name)
def test_a_failure_is_caught_by_the_rule_that_is_there_for_it(failure: Failure) -> None:
    assert failure.caught_by in unmet("default", MEASURED[failure.name])


@pytest.mark.parametrize("failure", REAL, ids=lambda failure: failure.name)
def test_what_the_default_policy_stops_the_strict_one_stops(failure: Failure) -> None:
    assert unmet("strict", MEASURED[failure.name])


@pytest.mark.parametrize("text", [one.rule for one in read_policy(FOLDER / "default.yaml").rules])
def test_each_rule_alone_stops_an_honest_adapter_that_breaks_it(text: str) -> None:
    metrics = copy.deepcopy(MEASURED[HONEST[0]])
    rule = parse_rule(text)
    if text in KNOWN_BY_NO_TOY:
        metrics["vanilla"]["general_ability"]["known"] = 1.0
    threshold = apply_rule(rule, metrics)["threshold"]
    *groups, name = rule.metric.path.split(".")
    block = metrics
    for group in groups:
        block = block[group]

    block[name] = threshold
    assert unmet("default", metrics) == []
    block[name] = threshold + (0.001 if rule.operator == "<=" else -0.001)
    assert unmet("default", metrics) == [text]
