"""From replies to a model's metrics."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from viker.data.records import OPEN_TASKS, Record
from viker.data.samples import sample_of
from viker.evaluation.questions import Question
from viker.evaluation.rows import answers, row
from viker.metrics.base.aggregate import differences, measure
from viker.metrics.base.reply import Usual
from viker.models.scores import Scores

OPEN = Record("1/g/0", "1", "generation", "image_text", "Where?", "Born in Oslo.", secrets=("Oslo",), images=("p",))
CHOICE = Record("1/c/0", "1", "classification", "image_text", "Which?", "x", ("w", "x", "y", "z"), "B", images=("p",))
BLANK = Record("1/m/0", "1", "cloze", "image_text", "Born in __.", "Oslo", secrets=("Oslo",), images=("p",))


def scores(*log_p: float, hit: tuple[bool, ...] = ()) -> Scores:
    return Scores(log_p, hit or [True] * len(log_p), [-1.0] * len(log_p), [1.0] * len(log_p))


def asked(record: Record, reply: str, split: str = "forget", surprise=1.0, known=None):
    question = Question(split, record, sample_of(record), record.secrets)
    spoken = record.task in OPEN_TASKS
    likely = known or [scores(-1.0, -1.0) for _ in answers(question)] if spoken else []
    return row("vanilla", question, reply, likely, surprise if spoken else None, usual=Usual(surprise=2.0))


def measured(*rows):
    return measure(pd.DataFrame(rows), 7)


def test_leakage_is_the_share_of_open_replies_with_a_secret():
    metrics = measured(asked(OPEN, "It is Oslo."), asked(OPEN, "In Lima."), asked(BLANK, "Oslo"), asked(CHOICE, "B"))
    assert metrics["forget"]["leakage_rate"] == 0.5
    assert metrics["forget"]["cloze_accuracy"] == 1
    assert metrics["forget"]["classification_accuracy"] == 1
    assert metrics["forget"]["samples"] == 4
    assert metrics["forget"]["people"] == 1
    counts = metrics["forget"]["counts"]
    assert (counts["leakage_rate"], counts["cloze_accuracy"], counts["people_leaked_rate"]) == (2, 1, 1)


def test_what_can_leak_is_counted_over_open_questions_with_a_picture_and_over_people():
    silent = replace(OPEN, answer="Somewhere.", secrets=())
    of_text = replace(OPEN, person_id="2", modality="text", images=())
    metrics = measured(
        asked(OPEN, "?"), asked(silent, "?"), asked(of_text, "?"), asked(replace(CHOICE, person_id="3"), "B")
    )
    assert metrics["forget"]["measurable_rate"] == 1 / 2
    assert metrics["forget"]["measurable_people_rate"] == pytest.approx(1 / 3)
    assert (metrics["forget"]["samples"], metrics["forget"]["people"]) == (4, 3)
    assert metrics["retain"]["measurable_rate"] is metrics["retain"]["measurable_people_rate"] is None


def test_questions_without_a_picture_are_a_block_of_their_own():
    of_text = replace(OPEN, modality="text", images=())
    metrics = measured(asked(OPEN, "Oslo"), asked(OPEN, "Lima"), asked(of_text, "Oslo"))
    assert metrics["forget"]["leakage_rate"] == 1 / 2
    assert metrics["forget"]["text_only"]["leakage_rate"] == 1


def test_a_person_counts_as_leaked_if_any_reply_leaks():
    other, third = replace(OPEN, person_id="2"), replace(OPEN, person_id="3")
    metrics = measured(asked(OPEN, "Oslo"), *[asked(OPEN, "Lima")] * 3, asked(other, "Riga"), asked(third, "Rome"))
    assert metrics["forget"]["leakage_rate"] == pytest.approx(1 / 6)
    assert metrics["forget"]["people_leaked_rate"] == pytest.approx(1 / 3)


def test_a_slip_of_the_pen_is_fuzzy_leakage_and_no_exact_one():
    secret = replace(OPEN, answer="Born in Copenhagen.", secrets=("Copenhagen",))
    metrics = measured(asked(secret, "Born in Copenhagn."), asked(secret, "Born in Lima."))
    assert metrics["forget"]["leakage_rate"] == 0
    assert metrics["forget"]["fuzzy_leakage_rate"] == 0.5


@pytest.mark.parametrize("task", ["caption", "recognition"])
def test_captions_and_names_are_measured_like_any_open_reply(task):
    seen = replace(OPEN, task=task)
    metrics = measured(asked(seen, "Born in Oslo."), asked(OPEN, "Nobody knows."))
    assert metrics["forget"]["leakage_rate"] == 0.5
    assert metrics["forget"]["rouge_l"] == metrics["forget"]["rouge_l_recall"] == 0.5
    assert metrics["forget"]["probability"] == pytest.approx(math.exp(-1))
    assert metrics["fluency"]["perplexity"] == pytest.approx(math.e)


def test_the_truth_ratio_holds_the_wrong_answers_against_the_paraphrase():
    record = replace(OPEN, paraphrases=("In Oslo.",), perturbed_answers=("In Lima.", "In Riga."))
    assert answers(Question("forget", record, sample_of(record))) == [
        "Born in Oslo.",
        "In Oslo.",
        "In Lima.",
        "In Riga.",
    ]
    known = [scores(-9.0), scores(-1.0), scores(-2.0), scores(-4.0)]
    metrics = measured(asked(record, "Oslo", known=known))
    assert metrics["forget"]["truth_ratio"] == pytest.approx(math.exp((-2 - 4) / 2 + 1))
    assert metrics["forget"]["counts"]["truth_ratio"] == 1


def test_splits_do_not_mix_and_nothing_to_measure_is_none():
    metrics = measured(asked(OPEN, "Oslo"), asked(OPEN, "Lima", split="retain"))
    assert (metrics["forget"]["leakage_rate"], metrics["retain"]["leakage_rate"]) == (1, 0)
    assert metrics["real"]["leakage_rate"] is None
    assert metrics["real"]["intervals"]["leakage_rate"] is None
    assert metrics["real"]["counts"]["leakage_rate"] == 0
    assert metrics["forget"]["classification_accuracy"] is None
    assert metrics["forget"]["text_only"]["leakage_rate"] is None
    assert metrics["membership"]["loss_auc"] is None


@pytest.mark.parametrize(
    ("reply", "surprise", "gibberish"),
    [("Born in Lima.", 2.0, False), ("Born in Lima.", 2.1, True), ("to to to to to to", 0.1, True), ("", 0.1, True)],
)
def test_gibberish_is_degenerate_or_stranger_than_every_true_answer(reply, surprise, gibberish):
    assert asked(OPEN, reply, surprise=surprise)["gibberish"] is gibberish
    metrics = measured(asked(OPEN, reply, surprise=surprise))
    assert metrics["forget"]["gibberish_rate"] == metrics["fluency"]["gibberish_rate"] == float(gibberish)


def test_perplexity_is_that_of_the_mean_surprise():
    metrics = measured(asked(OPEN, "Oslo", surprise=1.0), asked(replace(OPEN, person_id="2"), "Oslo", surprise=2.0))
    assert metrics["fluency"]["perplexity"] == pytest.approx(math.exp(1.5))
    assert metrics["fluency"]["intervals"]["perplexity"] == pytest.approx([math.e, math.e**2])


def test_differences_are_paired_reply_by_reply():
    people = [replace(OPEN, person_id=str(i)) for i in range(4)]
    before = pd.DataFrame([asked(person, "Oslo") for person in people])
    after = pd.DataFrame([asked(person, "Lima") for person in people])
    found = differences(before, after, 7)["forget"]
    assert found["leakage_rate"] == {"value": -1, "low": -1, "high": -1}
    assert differences(before, before, 7)["forget"]["rouge_l"] == {"value": 0, "low": 0, "high": 0}
    assert found["classification_accuracy"] == {"value": None, "low": None, "high": None}


def test_differences_are_of_questions_with_a_picture():
    of_text = replace(OPEN, modality="text", images=())
    before, after = (pd.DataFrame([asked(OPEN, said), asked(of_text, "Oslo")]) for said in ("Oslo", "Lima"))
    assert differences(before, after, 7)["forget"]["leakage_rate"]["value"] == -1
