"""The verdict: what is not a finite number never passes, and one failed rule fails the gate."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.gate.judge import judge, recounted, requirement
from viker.gate.policies import Policy, PolicyRule, Requirement

NO_NUMBER = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, None, True, False, 10**400, [], {}, [0.0], {"value": 0.0}]),
    st.text(),
    st.floats().map(str),
)
OPERATOR = st.sampled_from(["<=", ">=", "<", ">"])
PATH = "unlearned.forget.leakage_rate"
VALUE = st.floats(0, 100).map(lambda value: round(value, 3))


def metrics(value: Any, reference: Any = 1.0) -> dict[str, Any]:
    return {"unlearned": {"forget": {"leakage_rate": value}}, "vanilla": {"forget": {"leakage_rate": reference}}}


def policy(*rules: str, require: tuple[str, ...] = ()) -> Policy:
    return Policy(
        about="A test's.",
        rules=[PolicyRule(rule=rule, protects="Leaks.") for rule in rules],
        require=[Requirement(metric=metric, protects="Gaps.") for metric in require],
    )


def the_rule(text: str, found: dict[str, Any]) -> dict[str, Any]:
    return judge(policy(text), found, [])["rules"][0]


@given(NO_NUMBER, OPERATOR, VALUE)
def test_a_metric_that_is_no_finite_number_never_passes(value: Any, operator: str, threshold: float) -> None:
    verdict = judge(policy(f"unlearned.forget.leakage_rate {operator} {threshold}"), metrics(value), [])
    assert verdict["verdict"] == "fail"
    assert verdict["rules"][0]["value"] is None
    assert "unlearned.forget.leakage_rate is" in verdict["rules"][0]["reason"]


@given(NO_NUMBER, OPERATOR, VALUE)
def test_a_reference_that_is_no_finite_number_never_passes(reference: Any, operator: str, value: float) -> None:
    rule = f"unlearned.forget.leakage_rate {operator} 0.9 * vanilla.forget.leakage_rate"
    verdict = judge(policy(rule), metrics(value, reference), [])
    assert verdict["verdict"] == "fail"
    assert verdict["rules"][0]["threshold"] is None
    assert "vanilla.forget.leakage_rate is" in verdict["rules"][0]["reason"]


@pytest.mark.parametrize("found", [{}, [], "metrics", None, {"unlearned": {}}, {"unlearned": {"forget": 0.0}}])
def test_a_missing_metric_fails_and_the_reason_says_missing(found: Any) -> None:
    rule = the_rule("unlearned.forget.leakage_rate <= 0.1", found)
    assert not rule["passed"]
    assert "missing" in rule["reason"]


@pytest.mark.parametrize(
    ("value", "word"), [(None, "null"), (math.nan, "nan"), (math.inf, "inf"), ("0.0", "str"), (True, "bool")]
)
def test_the_reason_names_what_stands_in_place_of_a_number(value: Any, word: str) -> None:
    assert word in the_rule("unlearned.forget.leakage_rate <= 0.1", metrics(value))["reason"]


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [("<=", True, True, False), ("<", True, False, False), (">=", False, True, True), (">", False, False, True)],
)
def test_each_operator_below_at_and_above_the_threshold(operator, below, at, above) -> None:
    values = (math.nextafter(0.85, 0), 0.85, math.nextafter(0.85, 1))
    rule = f"unlearned.forget.leakage_rate {operator} 0.85"
    assert [the_rule(rule, metrics(value))["passed"] for value in values] == [below, at, above]


@pytest.mark.parametrize(("operator", "expected"), [("<=", True), ("<", False), (">=", True), (">", False)])
@given(factor=VALUE, reference=VALUE)
def test_the_threshold_is_the_factor_times_the_reference(operator, expected, factor, reference) -> None:
    rule = f"unlearned.forget.leakage_rate {operator} {factor} * vanilla.forget.leakage_rate"
    result = the_rule(rule, metrics(factor * reference, reference))
    assert result["threshold"] == factor * reference
    assert result["passed"] is expected


def test_a_reference_alone_is_the_threshold() -> None:
    result = the_rule("unlearned.forget.leakage_rate < vanilla.forget.leakage_rate", metrics(0.1, 0.2))
    assert (result["threshold"], result["passed"]) == (0.2, True)


def test_a_threshold_too_large_for_a_number_fails() -> None:
    result = the_rule(f"unlearned.forget.leakage_rate <= {'9' * 400}", metrics(0.1))
    assert (result["threshold"], result["passed"]) == (None, False)


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_the_gate_passes_exactly_where_all_rules_pass(outcomes: list[bool]) -> None:
    rules = [f"unlearned.forget.leakage_rate <= {0.1 if passes else 0.01}" for passes in outcomes]
    verdict = judge(policy(*rules), metrics(0.05), [])
    assert [rule["passed"] for rule in verdict["rules"]] == outcomes
    assert verdict["verdict"] == ("pass" if all(outcomes) else "fail")


def test_a_gate_without_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="no rules"):
        judge(Policy.model_construct(rules=[], require=[]), metrics(0.0), [])


def test_a_result_says_what_was_compared() -> None:
    result = the_rule("unlearned.forget.leakage_rate  <= 0.5 * vanilla.forget.leakage_rate", metrics(0.4, 0.6))
    assert result == {
        "rule": "unlearned.forget.leakage_rate <= 0.5 * vanilla.forget.leakage_rate",
        "metric": "unlearned.forget.leakage_rate",
        "bound": None,
        "operator": "<=",
        "threshold": 0.3,
        "value": 0.4,
        "passed": False,
        "reason": "unlearned.forget.leakage_rate is 0.4, not <= 0.3 (0.5 * vanilla.forget.leakage_rate).",
        "protects": "Leaks.",
        **{"shown": None, "people": None, "empty": False, "bound_at_most": None, "may_be_empty": None},
    }


def bounded(value: Any, interval: Any) -> dict[str, Any]:
    block = {"leakage_rate": value, "intervals": {"leakage_rate": interval}}
    return {"unlearned": {"forget": block}, "vanilla": {"forget": {"leakage_rate": 1.0}}}


@pytest.mark.parametrize(("term", "value"), [("lower", 0.05), ("upper", 0.2)])
def test_a_rule_on_a_bound_takes_that_end_of_the_interval(term: str, value: float) -> None:
    result = the_rule(f"{term}(unlearned.forget.leakage_rate) <= 0.1", bounded(0.1, [0.05, 0.2]))
    assert (result["bound"], result["value"], result["passed"]) == (term, value, value <= 0.1)
    assert result["metric"] == "unlearned.forget.leakage_rate"
    assert result["reason"].startswith(f"{term}(unlearned.forget.leakage_rate) is {value}")


@pytest.mark.parametrize(
    "interval", [None, [], [0.0], [0.0, None], [0.0, math.nan], [0.2, 0.1], [0.0, 0.1, 0.2], 0.0, ["0", "1"]]
)
@pytest.mark.parametrize("term", ["lower", "upper"])
def test_a_bound_that_is_missing_or_no_interval_never_passes(term: str, interval: Any) -> None:
    result = the_rule(f"{term}(unlearned.forget.leakage_rate) <= 1", bounded(0.1, interval))
    assert (result["passed"], result["value"]) == (False, None)
    assert "has no interval" in result["reason"]
    without = the_rule(f"{term}(unlearned.forget.leakage_rate) <= 1", bounded(None, interval))
    assert "is null in the metrics" in without["reason"]


def test_the_bound_of_a_reference_is_the_threshold() -> None:
    found = bounded(0.1, [0.05, 0.2]) | {"vanilla": {"a": {"b": 0.5, "intervals": {"b": [0.4, 0.6]}}}}
    result = the_rule("upper(unlearned.forget.leakage_rate) <= 0.5 * lower(vanilla.a.b)", found)
    assert (result["threshold"], result["passed"]) == (0.2, True)


def test_a_threshold_may_be_negative() -> None:
    assert the_rule("unlearned.forget.leakage_rate >= -0.1", metrics(-0.05))["passed"]
    assert not the_rule("unlearned.forget.leakage_rate >= -0.1", metrics(-0.2))["passed"]


@given(NO_NUMBER)
def test_a_required_metric_that_is_no_finite_number_is_not_there(value: Any) -> None:
    verdict = judge(policy("vanilla.forget.leakage_rate <= 1", require=(PATH,)), metrics(value), [])
    assert verdict["verdict"] == "fail"
    assert verdict["require"][0]["reason"].startswith(f"{PATH} is")


@pytest.mark.parametrize(("text", "met"), [(f"{PATH} >= 20", True), (f"{PATH} >= 21", False), (PATH, True)])
def test_what_is_required_must_be_there_or_enough(text: str, met: bool) -> None:
    verdict = judge(policy("vanilla.forget.leakage_rate <= 1", require=(text,)), metrics(20), [])
    assert (verdict["verdict"] == "pass") == met == verdict["require"][0]["passed"]
    assert verdict["require"][0]["value"] == 20


def test_what_is_required_and_there_is_shown_and_what_is_wrong_with_it_else() -> None:
    rule = "vanilla.forget.leakage_rate <= 1"
    there, missing = (judge(policy(rule, require=(PATH,)), metrics(value), [])["require"][0] for value in (0.25, None))
    assert there["reason"] == f"{PATH} is there: 0.25."
    assert missing["reason"] == f"{PATH} is null in the metrics."


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "All agree."), (1, "p0."), (3, "p0; p1; p2."), (4, "p0; p1; p2; 1 more."), (9, "p0; p1; p2; 6 more.")],
)
def test_a_recount_names_three_of_its_problems_and_the_stage_to_run_again(count: int, said: str) -> None:
    found = recounted("counted", [f"p{number}" for number in range(count)], "All agree.", "Edits.", again="unlearn")
    assert found["passed"] == (count == 0)
    assert found["reason"] == (said if count == 0 else f"{said} Run 'viker unlearn' again.")


def test_evidence_that_does_not_hold_fails_the_gate() -> None:
    held, broken = requirement("sealed", True, "It is."), requirement("fresh", False, "It is not.")
    rules = policy("vanilla.forget.leakage_rate <= 1")
    assert judge(rules, metrics(0.0), [held])["verdict"] == "pass"
    assert judge(rules, metrics(0.0), [held, broken])["verdict"] == "fail"
