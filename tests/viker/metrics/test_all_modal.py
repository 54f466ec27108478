"""UMU-Bench's all-modal figures, worked by hand."""

import pandas as pd
import pytest

from viker.metrics.all_modal import all_modal


def replies(split: str, task: str, scores: list[tuple[float, float]], form: str = "p{}/{}/1") -> pd.DataFrame:
    """Return the rows of one fact per person: its score with the picture, and without."""
    column = "rouge_l" if task == "generation" else "correct"
    rows = [
        {"record_id": f"{form.format(number, task)}/{kind}", "person_id": f"p{number}", "split": split, "task": task}
        | {"modality": kind, "correct": None, "rouge_l": None}
        | {column: score}
        for number, both in enumerate(scores)
        for kind, score in zip(("image_text", "text"), both, strict=True)
    ]
    return pd.DataFrame(rows)


def test_facts_count_where_both_forms_are_right_or_both_are_wrong():
    table = pd.concat(
        [
            replies("forget", "classification", [(True, True), (True, False), (False, True), (False, False)]),
            replies("retain", "classification", [(True, True), (True, True)]),
            replies("forget", "cloze", [(False, False), (True, False)]),
        ]
    )
    figures = all_modal(table, seed=1)
    chosen = figures["forget_classification"]
    assert (chosen["all_modal_accuracy"], chosen["all_modal_error"], chosen["facts"]) == (0.25, 0.25, 4)
    assert figures["retain_classification"]["all_modal_accuracy"] == 1
    assert (figures["forget_cloze"]["all_modal_accuracy"], figures["forget_cloze"]["all_modal_error"]) == (0, 0.5)
    assert figures["retain_cloze"]["all_modal_accuracy"] is None
    low, high = chosen["intervals"]["all_modal_accuracy"]
    assert low <= 0.25 <= high


def test_rouge_is_near_the_larger_on_forget_and_the_harmonic_mean_elsewhere():
    scores = [(0.2, 0.6), (0.0, 0.0), (0.5, 0.5)]
    figures = all_modal(pd.concat([replies(s, "generation", scores) for s in ("forget", "real")]), seed=1)
    forget = ((0.04 + 0.36) / 0.8 + 0 + 0.5) / 3
    assert figures["forget_generation"]["all_modal_rouge_l"] == pytest.approx(forget)
    real = (2 * 0.2 * 0.6 / 0.8 + 0 + 0.5) / 3
    assert figures["real_generation"]["all_modal_rouge_l"] == pytest.approx(real)


def test_a_fact_in_one_form_or_without_a_key_is_no_pair():
    one = replies("forget", "cloze", [(True, True)]).iloc[:1]
    numbered = replies("forget", "cloze", [(True, True)]).assign(record_id=["p0/cloze/0", "p0/cloze/1"])
    for table in (one, numbered):
        assert all(figures["facts"] == 0 for figures in all_modal(table, seed=1).values())
