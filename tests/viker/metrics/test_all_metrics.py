"""What every metric is held to: its declaration, its range whatever the replies, and the documentation."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viker.core.plugins import load_plugins
from viker.data.records import SPLITS, TASKS, UNSEEN
from viker.evaluation.rows import COLUMNS
from viker.metrics.base.aggregate import differences, measure
from viker.metrics.base.catalogue import all_metrics, prediction_columns
from viker.metrics.base.metric import Metric
from viker.metrics.base.reply import Reply, Usual
from viker.models.scores import Scores

ROOT = Path(__file__).parents[3]
METRICS = pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
HEAVY = ("torch", "transformers", "nltk", "rouge_score", "scipy", "sklearn", "pandas")
TEXT = st.text(max_size=30)
LOG_P = st.floats(-60, 0)


@st.composite
def scores(draw: st.DrawFn) -> Scores:
    tokens = draw(st.lists(st.tuples(LOG_P, st.booleans(), LOG_P, st.floats(0, 9)), min_size=1, max_size=6))
    return Scores(*zip(*tokens, strict=True))


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    wrong = draw(st.lists(LOG_P, max_size=3))
    return Reply(
        text=draw(TEXT),
        answer=draw(TEXT),
        option=draw(st.sampled_from(["", "A", "D"])),
        secrets=tuple(draw(st.lists(TEXT, max_size=2))),
        person_secrets=tuple(draw(st.lists(TEXT, max_size=2))),
        likelihood=draw(st.none() | scores()),
        right=draw(LOG_P) if wrong else None,
        wrong=tuple(wrong),
        surprise=draw(st.none() | st.floats(0, 60)),
        usual=Usual(surprise=draw(st.floats(0, 60)), excess_bits=draw(st.floats(-9, 9))),
    )


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A table of replies with every metric's column, some splits and tasks missing."""
    rows = []
    for reply in draw(st.lists(replies(), max_size=6)):
        row = {
            "person_id": draw(st.sampled_from("abc")),
            "split": draw(st.sampled_from([*SPLITS, UNSEEN])),
            "task": draw(st.sampled_from(TASKS[1:])),
            "modality": draw(st.sampled_from(["image_text", "text"])),
        }
        measured = [m for m in all_metrics() if m.of_reply]
        row |= dict.fromkeys(m.column for m in measured)
        row |= {m.column: m.of_reply(reply) for m in measured if m.of_reply and row["task"] in m.tasks}
        rows.append(row)
    columns = ["person_id", "split", "task", "modality", *(m.column for m in all_metrics() if m.of_reply)]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(columns)))


@METRICS
def test_it_declares_what_a_reader_needs(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)  # a gate's rule must be able to name it
    assert metric.heading and metric.source and metric.unit
    assert metric.meaning and "|" not in metric.meaning and not metric.meaning.endswith(".")
    assert metric.range[0] < metric.range[1]
    assert metric.blocks


@METRICS
def test_it_declares_which_values_are_good(metric: Metric) -> None:
    sides = (metric.better.forget, metric.better.retain)
    assert any(side is not None for side in sides)
    for side in sides:
        assert side in (None, "lower", "higher") or metric.range[0] <= float(side) <= metric.range[1]


@METRICS
def test_its_column_is_computed_by_it_or_by_another_or_models_are_needed(metric: Metric) -> None:
    computed = {other.column for other in all_metrics() if other.of_reply}
    assert metric.column in computed or metric.computed_from == "models" or metric.name == "model_utility"


@METRICS
@given(replies())
@settings(max_examples=40)
def test_of_one_reply_it_is_none_or_within_its_range(metric: Metric, reply: Reply) -> None:
    if metric.of_reply is None:
        return
    value = metric.of_reply(reply)
    if metric.is_flag:
        assert value in (True, False, None)
    if value is not None and metric.finish is None and metric.compare is None:
        value = metric.of_value(value) if metric.of_value else value
        assert metric.range[0] - 1e-9 <= value <= metric.range[1] + 1e-9


@METRICS
def test_of_a_reply_about_which_nothing_is_known_it_has_no_error(metric: Metric) -> None:
    assert metric.of_reply is None or metric.of_reply(Reply(text="")) in (None, True, False, 0.0)


@given(tables())
@settings(max_examples=25)
def test_of_any_table_of_replies_each_metric_is_none_or_within_its_range(rows: pd.DataFrame) -> None:
    figures = measure(rows, seed=7)
    for metric in all_metrics():
        for block in metric.blocks:
            for where in [figures[split] for split in SPLITS] if block == "split" else [figures.get(block, {})]:
                for numbers in (where, where.get("text_only", {})):
                    check(metric, numbers)
    assert set(differences(rows, rows, seed=7)) == set(SPLITS)


def check(metric: Metric, numbers: dict) -> None:
    value, (low, high) = numbers.get(metric.name), metric.range
    assert value is None or low - 1e-9 <= value <= high + 1e-9
    bounds = numbers.get("intervals", {}).get(metric.name)
    if bounds is not None:
        assert low - 1e-9 <= bounds[0] <= bounds[1] <= high + 1e-9
    if metric.name in numbers.get("counts", {}):
        assert (numbers["counts"][metric.name] == 0) == (value is None)


def test_a_split_has_all_of_its_metrics_even_without_a_reply() -> None:
    columns = dict.fromkeys(["person_id", "split", "task", "modality", *(m.column for m in all_metrics())])
    figures = measure(pd.DataFrame(columns=list(columns)), seed=7)
    expected = {m.name for m in all_metrics() if "split" in m.blocks}
    about = {"counts", "intervals", "samples", "people", "text_only", "measurable_rate", "measurable_people_rate"}
    assert expected == set(figures["forget"]) - about
    assert all(figures["forget"][name] is None for name in expected)


def test_the_columns_of_the_predictions_are_those_that_hashes_rest_on() -> None:
    """Another order, or one of these less, gives predictions.parquet another SHA-256."""
    flags = ["correct", "leaked", "fuzzy_leaked", "refused", "gibberish"]
    measured = ["rouge_l", "rouge_l_recall", "bleu", "probability", "truth_ratio", "extraction_strength"]
    assert [column for column in prediction_columns() if column in (*flags, *measured)] == flags + measured
    assert list(prediction_columns()) == COLUMNS[10:]
    assert [name for name, is_flag in prediction_columns().items() if is_flag and name in flags] == flags


def test_headings_and_names_are_not_used_twice() -> None:
    for block in ("split", "fluency", "membership", "run"):
        headings = [metric.heading for metric in all_metrics() if block in metric.blocks]
        assert len(set(headings)) == len(headings)


def test_a_metric_is_declared_at_the_top_level_of_a_module_and_the_module_says_what_it_is() -> None:
    assert load_plugins("viker.metrics", Metric).keys() == {metric.name for metric in all_metrics()}
    for path in (ROOT / "viker/metrics").glob("[a-z]*.py"):
        assert path.read_text().startswith('"""')
        assert "Source: " in path.read_text(), f"{path.name}: a formula's docstring names its source"


def test_declarations_are_read_without_what_computing_needs() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"  # importing any of them fails
        "from viker.metrics.base.catalogue import all_metrics; all_metrics()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_range_has_a_beginning() -> None:
    assert -math.inf not in [metric.range[0] for metric in all_metrics()]
