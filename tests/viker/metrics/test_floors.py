"""Private values that the loss can't bring below a half, counted by token, value and person."""

import pandas as pd
import pytest

from viker.metrics.base.floors import COLUMNS, spans_of_values, summarised


def token(person: str, value: int, floor: float, record: str = "r") -> tuple:
    return (f"{record}/{person}", person, "Where?", value, 0, "x", 0.2, floor, 0.9, 1.0)


def test_a_value_is_kept_where_the_floors_of_all_its_tokens_are_above_a_half() -> None:
    rows = [
        *(token("1", 0, floor) for floor in (0.6, 0.7)),
        *(token("1", 1, floor) for floor in (0.5, 0.9)),  # exactly a half is not above it
        *(token("1", 2, floor) for floor in (0.9, 0.1)),
        token("2", 0, 0.6),
        token("2", 0, 0.6, record="another"),
    ]
    assert summarised(pd.DataFrame(rows, columns=COLUMNS)) == {
        "values": 5,
        "values_kept": 3,
        "first_tokens_kept": 4,
        "people_with_values_kept": 2,
        "tokens": 8,
        "tokens_kept": 6,
        "mean_teacher": pytest.approx(0.2),
        "mean_vanilla": pytest.approx(0.9),
        "mean_floor": pytest.approx(4.9 / 8),
        "mean_kl": pytest.approx(1.0),
    }


def test_without_rows_there_are_counts_and_no_means() -> None:
    found = summarised(pd.DataFrame([], columns=COLUMNS))
    assert set(found) == {
        "values",
        "values_kept",
        "first_tokens_kept",
        "people_with_values_kept",
        "tokens",
        "tokens_kept",
    }
    assert set(found.values()) == {0}


def test_a_value_is_found_in_any_case_and_spacing_and_each_time() -> None:
    answer = "In new  york, yes: New York."
    assert spans_of_values(answer, ["New York", " "]) == [(3, 12), (19, 27)]
    assert spans_of_values("a.b", ["a.b"]) == [(0, 3)] and spans_of_values("axb", ["a.b"]) == []
