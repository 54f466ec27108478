"""Nested values become MLflow's flat names; secrets leave no trace in messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viker.core.mlflow_store import DEFAULT_URI, tracking_uri
from viker.core.nested import flatten, numbers
from viker.core.redact import without_secrets

NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
LEAVES = st.integers() | st.lists(st.integers(), max_size=2)
NESTED = st.recursive(LEAVES, lambda v: st.dictionaries(NAMES, v, min_size=1, max_size=3), max_leaves=6)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, NESTED, max_size=3))
def test_every_leaf_is_found_again_by_its_path(values: dict) -> None:
    for path, leaf in flatten(values).items():
        value = values
        for part in path.split("."):
            value = value[part]
        assert value == leaf


def test_only_finite_numbers_are_metrics() -> None:
    values = {"a": {"b": 1, "none": None, "flag": True, "text": "0.5", "nan": float("nan"), "c": 0.25}}
    assert numbers(values) == {"a.b": 1.0, "a.c": 0.25}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://clerk:p@ss/word@host:5000/x", "https://***@host:5000/x"),
        ("postgresql://host/db?user=a&password=hunter2&sslmode=require", "postgresql://host/db?user=a&password=***"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
    ],
)
def test_credentials_of_a_uri_are_hidden(text: str, shown: str) -> None:
    assert without_secrets(text).startswith(shown)
    assert "hunter2" not in without_secrets(text)


def test_without_the_variable_the_work_tree_has_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == DEFAULT_URI
