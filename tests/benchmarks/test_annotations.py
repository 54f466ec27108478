"""The marked spans are in the text, and the figures are those of their definitions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.annotations.measure import auc, precision_recall, tables, with_interval
from benchmarks.annotations.spans import SPANS, only_marked, read_spans
from viker.core.errors import UserError

TEXT = Path(__file__).parents[3] / "shared/data/tofu"
LINES = [json.loads(line) for line in SPANS.read_text(encoding="utf-8").splitlines()]


def test_they_are_150_answers_about_25_people_each_once():
    assert len({(one["author"], one["question"]) for one in LINES}) == len(LINES) == 150
    assert len({one["author"] for one in LINES}) == 25


@pytest.mark.skipif(not TEXT.is_dir(), reason="TOFU's text is not next to the repository")
def test_each_span_stands_in_its_answer(tmp_path):
    marked = read_spans(TEXT)
    rows = [json.loads(line) for line in (TEXT / "authors.jsonl").read_text(encoding="utf-8").splitlines()]
    for one in LINES:
        answer = rows[20 * one["author"] + one["question"]]["answer"]
        found = [answer[start:end] for start, end in marked[f"{one['author']:03d}", answer]]
        assert set(found) == set(one["spans"]) and len(found) >= len(one["spans"])
    only_marked(TEXT, tmp_path)
    assert len((tmp_path / "authors.jsonl").read_text(encoding="utf-8").splitlines()) == 500
    answers = [row | {"answer": "Another."} for row in rows]
    (tmp_path / "authors.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    with pytest.raises(UserError, match=r"line 1: .* not all in the answer"):
        read_spans(tmp_path)


def test_auc_is_the_share_of_pairs_in_order_with_ties_half():
    scores, private = np.array([3.0, 1, 2, 1, 1]), np.array([True, True, False, False, False])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in (3, 1) for b in (2, 1, 1)]
    assert auc(scores, private) == pytest.approx(np.mean(pairs))
    assert np.isnan(auc(scores, np.ones(5, bool)))


def test_precision_and_recall_count_tokens():
    key, private = np.array([True, True, False, False, False]), np.array([True, False, True, True, False])
    assert precision_recall(key, private) == (1 / 2, 1 / 3)
    assert np.isnan(precision_recall(~key & key, private)[0])


def test_intervals_draw_people_and_are_repeatable():
    people = np.repeat(np.arange(20), 10)
    of_people = np.repeat(np.arange(20) % 2, 10).astype(float)  # one observation each, ten times
    first = with_interval(people, lambda one: one.mean(), of_people)
    assert list(first) == list(with_interval(people, lambda one: one.mean(), of_people))
    assert first[0] == 0.5 and first[2] - first[1] > 0.3  # 200 tokens would give 0.14


def test_a_score_that_is_the_truth_has_an_auc_and_a_precision_of_one():
    private = np.tile([True, False, False, False, False], 12)
    rows = pd.DataFrame(
        {"person": np.repeat(["a", "b", "c"], 20), "answer": np.repeat(range(6), 10), "private": private}
    )
    for score in ("entropy", "relative", "surprise", "divergence"):
        rows[score] = private.astype(float)
        for mark in ("fixed", "quantile", "otsu", "mixture"):
            rows[f"{score} {mark}"] = private
    text = tables(rows.assign(known=~private, vanilla=0.5))
    assert "60 tokens of 6 answers about 3 people; 20% are in spans." in text
    assert (
        text.count("1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |") == 4 + 16 and "| 80% | 0.00 [0.00, 0.00] | 0.00" in text
    )
