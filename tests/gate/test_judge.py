"""The verdict: what is not a finite number never passes, and one failed rule fails the gate."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate.judge import judge

NO_NUMBER = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, None, True, False, 10**400, [], {}, [0.0], {"value": 0.0}]),
    st.text(),
    st.floats().map(str),
)
OPERATOR = st.sampled_from(["<=", ">=", "<", ">"])
VALUE = st.floats(0, 100).map(lambda value: round(value, 3))


def metrics(value: Any, reference: Any = 1.0) -> dict[str, Any]:
    return {"unlearned": {"forget": {"leakage_rate": value}}, "vanilla": {"forget": {"leakage_rate": reference}}}


def the_rule(text: str, found: dict[str, Any]) -> dict[str, Any]:
    return judge([text], found)["rules"][0]


@given(NO_NUMBER, OPERATOR, VALUE)
def test_a_metric_that_is_no_finite_number_never_passes(value: Any, operator: str, threshold: float) -> None:
    verdict = judge([f"unlearned.forget.leakage_rate {operator} {threshold}"], metrics(value))
    assert verdict["verdict"] == "fail"
    assert verdict["rules"][0]["value"] is None
    assert "unlearned.forget.leakage_rate is" in verdict["rules"][0]["reason"]


@given(NO_NUMBER, OPERATOR, VALUE)
def test_a_reference_that_is_no_finite_number_never_passes(reference: Any, operator: str, value: float) -> None:
    rule = f"unlearned.forget.leakage_rate {operator} 0.9 * vanilla.forget.leakage_rate"
    verdict = judge([rule], metrics(value, reference))
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
    verdict = judge(rules, metrics(0.05))
    assert [rule["passed"] for rule in verdict["rules"]] == outcomes
    assert verdict["verdict"] == ("pass" if all(outcomes) else "fail")


def test_a_gate_without_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="no rules"):
        judge([], metrics(0.0))


def test_a_result_says_what_was_compared() -> None:
    result = the_rule("unlearned.forget.leakage_rate  <= 0.5 * vanilla.forget.leakage_rate", metrics(0.4, 0.6))
    assert result == {
        "rule": "unlearned.forget.leakage_rate <= 0.5 * vanilla.forget.leakage_rate",
        "metric": "unlearned.forget.leakage_rate",
        "operator": "<=",
        "threshold": 0.3,
        "value": 0.4,
        "passed": False,
        "reason": "unlearned.forget.leakage_rate is 0.4, not <= 0.3 (0.5 * vanilla.forget.leakage_rate).",
    }
