"""The language of the gate's rules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.gate.rules import OPERATORS, Term, look_up, parse_rule, readable

PATHS = st.lists(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), min_size=2, max_size=4).map(".".join)


TERMS = st.builds(Term, PATHS, st.sampled_from([None, "lower", "upper"]))


@given(TERMS, st.sampled_from(sorted(OPERATORS)), st.floats(0, 1000).map(lambda x: round(x, 3)), TERMS)
def test_a_rule_reads_back_what_was_written(metric, symbol, number, other):
    rule = parse_rule(f"{metric} {symbol} {number:.3f} * {other}")
    assert (rule.metric, rule.operator, rule.factor, rule.reference) == (metric, symbol, number, other)
    assert parse_rule(f"{metric}{symbol}{number:.3f}").reference is None
    assert parse_rule(f"{metric} {symbol} -{number:.3f}").factor == -number
    assert parse_rule(f"{metric} {symbol} {other}").factor == 1
    assert readable(f"{metric}  {symbol} {number:.3f}") == f"{metric} {symbol} {number:.3f}"
    assert readable(f" {metric.path} ") == metric.path


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a <= 1",
            "a.b = 1",
            "a.b <= 1 + c.d",
            "a.b <= __import__('os')",
            "a.b <= -1 * c.d",
            "a.b <= 1; c.d <= 1",
        ),
        *("mean(a.b) <= 1", "upper(a.b <= 1", "upper a.b <= 1", "upper(upper(a.b)) <= 1", "a.b <= nan", "a.b <= 1e400"),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="not a rule"):
        parse_rule(text)


@pytest.mark.parametrize("text", ["", "a", "a.", "a.b.", "a.b c.d", "a.b = 1", "upper(a.b)", "a.b <= "])
def test_what_is_neither_a_rule_nor_a_path_is_not_required(text):
    with pytest.raises(ValueError, match="not "):
        readable(text)


@pytest.mark.parametrize(("symbol", "outcomes"), [("<=", "110"), (">=", "011"), ("<", "100"), (">", "001")])
def test_operators_compare_as_they_say(symbol, outcomes):
    assert "".join(str(int(OPERATORS[symbol](value, 2.0))) for value in (1.0, 2.0, 3.0)) == outcomes


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "1", {}, 10**400])
def test_only_finite_numbers_are_metrics(value):
    assert look_up({"a": {"b": value}}, "a.b") is None
    assert look_up({"a": {}}, "a.b") is None
    assert look_up({"a": 1}, "a.b") is None
    assert look_up({"a": {"b": 0}}, "a.b") == 0
