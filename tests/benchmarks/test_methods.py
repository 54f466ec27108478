"""The comparison of methods at equal forgetting: what is read off the measured points."""

import pandas as pd
import pytest

from benchmarks.methods.measure import chosen
from benchmarks.methods.show import at_level, frontier, table
from viker.core.errors import UserError
from viker.methods.base.method import methods

RUN = pd.DataFrame(
    {
        "seed": 7,
        "setting": "GA",
        "step": [0, 8, 16, 24],
        "seconds": [1.0, 3.0, 5.0, 7.0],
        "forget": [1.0, 0.6, 0.2, 0.0],
        "retain": [1.0, 0.9, 0.5, 0.1],
    }
)


def test_between_two_measurements_values_are_linear_in_forget_accuracy():
    assert at_level(RUN, 0.5) == pytest.approx({"retain": 0.8, "step": 10, "seconds": 3.5})
    assert at_level(RUN, 0.2) == pytest.approx({"retain": 0.5, "step": 16, "seconds": 5.0})


def test_a_level_counts_where_it_is_reached_first_and_none_where_never():
    again = pd.concat([RUN, RUN.tail(1).assign(step=32, forget=0.7)])
    assert at_level(again, 0.5) == at_level(RUN, 0.5)
    assert at_level(RUN[RUN["forget"] > 0.3], 0.3) is None


def test_the_table_has_means_over_the_seeds_and_says_how_many_got_there(tmp_path):
    worse = RUN.assign(setting="NPO", retain=0.5)
    stuck = worse.assign(seed=8)[RUN["forget"] > 0.3]
    points = pd.concat([worse, stuck, RUN, RUN.assign(seed=8, retain=RUN["retain"] + 0.1)])
    lines = table(points).splitlines()
    assert lines[3] == "| GA | 0.85 | 0.65 | 0.35 | 20 | 6 | 2 |"
    assert lines[2] == "| NPO | 0.50 (1 of 2) | 0.50 (1 of 2) | 0.50 (1 of 2) | 20 | 6 | 2 |"
    frontier(points, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


def test_all_methods_that_unlearn_are_chosen_and_others_refused():
    assert [one.name for one in chosen(["all"], ["none"])] == [m for m in methods() if m != "retrain"]
    assert [(one.name, one.retain.term) for one in chosen(["ga"], ["none", "kl"])] == [("ga", "none"), ("ga", "kl")]
    with pytest.raises(UserError, match="no method retrain that unlearns"):
        chosen(["retrain"], ["none"])
    with pytest.raises(UserError, match="no term l2"):
        chosen(["ga"], ["l2"])
