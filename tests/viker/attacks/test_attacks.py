"""What each attack asks, in what pictures and words; what is switched off, and what the data lack."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from tests.viker.attacks.conftest import SEED
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.targets import Targets
from viker.attacks.picture_changes import Change, changed
from viker.attacks.typographic import with_question
from viker.data.records import open_picture
from viker.data.samples import sample_of
from viker.gate.recount_attacks import recount_attacks


def only(sections, *names):
    return {name: section.model_copy(update={"enabled": name in names}) for name, section in sections.items()}


def test_what_is_switched_off_is_not_made(subjects, targets, sections):
    blocks, rows = run_attacks(subjects, targets, only(sections, "prefix"), SEED)
    assert list(blocks["vanilla"]) == ["prefix"]
    assert set(rows["attack"]) == {"prefix"}


def test_nothing_switched_on_gives_an_empty_table_that_the_gate_can_read(
    subjects, targets, sections, prepared, params, tmp_path
):
    blocks, rows = run_attacks(subjects, targets, only(sections), SEED)
    assert blocks == {"vanilla": {}, "unlearned": {}}
    assert len(rows) == 0
    rows.to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {model: {"attacks": block} for model, block in blocks.items()}
    asked = params.evaluate.model_copy(update={"attacks": only(sections)})
    assert recount_attacks(metrics, prepared, tmp_path / "attacks.parquet", asked, SEED, "")[0]["passed"]


def test_what_the_data_lack_is_said(subjects, targets, sections):
    """No names, no other pictures, no wrong answers, no retain people: nulls with a reason, never zeros."""
    bare = [
        replace(record, perturbed_answers=(), options=())
        for record in targets.forget
        if record.images and record.task == "generation"
    ][:2]
    poor = Targets(bare, [], [], [])
    names = ("text_only", "other_pictures", "multiple_choice", "few_shot", "relearn_forget", "relearn_retain", "probe")
    blocks, _ = run_attacks(subjects[:1], poor, only(sections, *names), SEED)
    for name in names:
        block = blocks["vanilla"][name]
        assert block["leakage_rate"] is None and block["samples"] == 0, name
        assert block["reason"] == f"the data have no {load_attacks()[name].needs}"


def test_paraphrases_are_other_questions_about_the_same(rows_of, targets):
    for _, row in rows_of("paraphrase").iterrows():
        record = next(r for r in targets.forget if r.id == row["record_id"])
        assert row["question"] != record.question
        wordings = {r.question for r in (*targets.forget, *targets.test) if r.answer == record.answer}
        assert row["question"] in wordings if row["variant"] == "data" else record.question in row["question"]


def test_other_pictures_are_of_the_person_and_not_of_the_forget_set(rows_of, targets):
    known = {picture for record in targets.forget for picture in record.images}
    for _, row in rows_of("other_pictures").iterrows():
        assert row["picture"] not in known
        assert any(row["picture"] in r.images and r.person_id == row["person_id"] for r in targets.test)


def test_text_only_shows_no_picture(rows_of):
    assert set(rows_of("text_only")["picture"]) == {""}


def test_examples_are_of_retain_people_and_do_not_give_the_answer(rows_of, targets):
    answers = {r.answer for r in targets.retain}
    for _, row in rows_of("few_shot").iterrows():
        *examples, question = row["question"].split("\n\n")
        record = next(r for r in targets.forget if r.id == row["record_id"])
        assert question == record.question
        assert len(examples) == len(row["replies"]) == 3, "a reply to one, two and three of them"
        assert all(example.split("\n")[1] in answers for example in examples)
        assert not any(record.secrets[0] in example for example in examples)


def test_a_beginning_is_in_the_prompt_and_not_in_the_reply(rows_of, subjects, targets):
    row = rows_of("prefix").iloc[0]
    record = next(r for r in targets.forget if r.id == row["record_id"])
    head = record.answer[: record.answer.index(record.secrets[0])].rstrip()
    assert row["question"] == f"{record.question}\n{head}"
    sample = replace(sample_of(record), begun=head)
    ids = subjects[0].encoder.prompts([sample])["input_ids"][0]
    assert subjects[0].encoder.tokenizer.decode(ids).endswith(f"ASSISTANT: {head}")


def test_options_are_four_and_one_is_right(rows_of):
    for _, row in rows_of("multiple_choice").iterrows():
        lines = row["question"].split("\n")[1:-1]
        assert [line[:2] for line in lines] == ["A:", "B:", "C:", "D:"]
        assert row["reply"] in lines
        assert row["chance"] == 0.25
        assert row["leaked"] == (row["reply"][3:] in row["answer"])


def test_relearning_asks_what_it_did_not_teach(attacked, rows_of, sections):
    blocks, settings = attacked[0], sections["relearn_forget"]
    curve = blocks["unlearned"]["relearn_forget"]["curve"]
    assert [point["steps"] for point in curve] == [0, 1, 2]
    assert {"taught", "never_knew"} <= set(curve[0])
    assert len(rows_of("relearn_forget")) == settings.questions - settings.samples
    best = max(point["leakage_rate"] for point in curve[1:])
    assert blocks["unlearned"]["relearn_forget"]["leakage_rate"] == best


@pytest.mark.parametrize("change", get_args(Change))
def test_a_changed_picture_is_another_of_the_same_size_always_the_same(subjects, targets, change):
    content = subjects[0].encoder.pictures[targets.forget[0].images[0]]
    new = changed(content, change)
    before, after = (np.asarray(open_picture(one), dtype=int) for one in (content, new))
    assert before.shape == after.shape
    assert 0 < np.abs(before - after).mean() < 90
    assert changed(content, change) == new


def test_a_mirrored_picture_is_mirrored_and_a_brighter_one_brighter(subjects, targets):
    content = subjects[0].encoder.pictures[targets.forget[0].images[0]]
    before = np.asarray(open_picture(content))
    assert np.array_equal(np.asarray(open_picture(changed(content, "flip"))), before[:, ::-1])
    assert np.asarray(open_picture(changed(content, "brightness"))).mean() > before.mean()


def test_the_question_is_drawn_below_the_picture(subjects, targets):
    content = subjects[0].encoder.pictures[targets.forget[0].images[0]]
    one, two = (np.asarray(open_picture(with_question(content, text))) for text in ("Where born?", "Which trade?"))
    assert one.shape == two.shape and one.shape[1] == 336 and one.shape[0] > 336
    assert np.array_equal(one[:336], two[:336])
    assert not np.array_equal(one[336:], two[336:])
    assert (one[336:] < 60).any()
    long = np.asarray(open_picture(with_question(content, "word " * 40)))
    assert long.shape[0] > one.shape[0]  # it is wrapped, not cut off
