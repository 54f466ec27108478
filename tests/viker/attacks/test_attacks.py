"""Every attack on a small untrained model: what it asks, that it repeats, and what it says where it can't be made."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from viker.attacks.registry import ATTACKS, attack
from viker.attacks.settings import AttacksParams
from viker.attacks.subject import Subject
from viker.attacks.targets import Targets, read_targets

from viker.attacks.picture_changes import changed
from viker.attacks.typographic import with_question
from viker.data.records import open_picture
from viker.gate.recount_attacks import recount_attacks
from viker.models.chat import sample_of
from viker.models.loading import language_layers

CHANGES = ("crop", "flip", "blur", "jpeg", "brightness", "caption")


@pytest.fixture(scope="module")
def targets(prepared):
    return read_targets(prepared)


@pytest.fixture(scope="module")
def subjects(small_model):
    model, encoder = small_model
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=4, target_modules=language_layers(model), init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), config).eval()
    return [Subject(name, adapted, name == "unlearned", encoder, 32, 4) for name in ("vanilla", "unlearned")]


@pytest.fixture(scope="module")
def short(params):
    """All attacks, with few steps and samples."""
    changes = {"steps": [1, 2], "samples": 2, "wordings": 3, "temperatures": [1.0], "questions": 4}
    values = {
        name: {key: changes.get(key, value) for key, value in section.items()}
        for name, section in params.evaluate.attacks.model_dump().items()
    }
    return AttacksParams(**values)


def only(params, *names):
    sections = params.model_dump()
    return AttacksParams(**{name: section | {"enabled": name in names} for name, section in sections.items()})


@pytest.fixture(scope="module")
def made(subjects, targets, short):
    return attack(subjects, targets, short, 7)


def rows_of(made, name, model="vanilla"):
    rows = made[1]
    return rows[(rows["attack"] == name) & (rows["model"] == model)]


def test_every_attack_has_its_section_and_every_section_its_attack():
    assert list(ATTACKS) == list(AttacksParams.model_fields)


def test_every_attack_reports_on_both_models_or_says_why_not(made):
    blocks, rows = made
    assert set(blocks) == {"vanilla", "unlearned"}
    for found in blocks.values():
        assert list(found) == list(ATTACKS)
        for name, values in found.items():
            if "reason" in values:
                assert name == "probe" and values["leakage_rate"] is None
            else:
                assert 0 <= values["leakage_rate"] <= 1
                assert values["intervals"]["leakage_rate"][0] <= values["intervals"]["leakage_rate"][1]
                assert values["samples"] == len(rows_of(made, name)) > 0
    assert rows[["reply", "question", "person_id", "record_id", "leaked"]].notna().all().all()


def test_the_same_bytes_twice(made, subjects, targets, short):
    again, rows = attack(subjects, targets, short, 7)
    assert again == made[0]
    assert rows.equals(made[1])


def test_the_gate_counts_the_same_from_the_replies(made, prepared, tmp_path):
    blocks, rows = made
    rows.to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {model: {"attacks": found} for model, found in blocks.items()}
    (result,) = recount_attacks(metrics, prepared, tmp_path / "attacks.parquet", 7)
    assert result["passed"], result["reason"]
    assert result["reason"] == f"{len(rows)} replies."


def test_what_is_switched_off_is_not_made(subjects, targets, short):
    blocks, rows = attack(subjects, targets, only(short, "prefix"), 7)
    assert list(blocks["vanilla"]) == ["prefix"]
    assert set(rows["attack"]) == {"prefix"}


def test_nothing_switched_on_gives_an_empty_table_that_the_gate_can_read(subjects, targets, short, prepared, tmp_path):
    blocks, rows = attack(subjects, targets, only(short), 7)
    assert blocks == {"vanilla": {}, "unlearned": {}}
    assert len(rows) == 0
    rows.to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {model: {"attacks": found} for model, found in blocks.items()}
    assert recount_attacks(metrics, prepared, tmp_path / "attacks.parquet", 7)[0]["passed"]


def test_what_the_data_lack_is_said(subjects, targets, short):
    """No names, no other pictures, no wrong answers, no retain people: nulls with a reason, never zeros."""
    bare = [
        replace(record, perturbed_answers=(), options=())
        for record in targets.forget
        if record.images and record.task == "generation"
    ][:2]
    poor = Targets(bare, [], [], [])
    names = ("text_only", "other_pictures", "multiple_choice", "few_shot", "relearn_forget", "relearn_retain", "probe")
    blocks, _ = attack(subjects[:1], poor, only(short, *names), 7)
    for name in names:
        found = blocks["vanilla"][name]
        assert found["leakage_rate"] is None and found["samples"] == 0, name
        assert len(found["reason"].split()) > 3, name


def test_paraphrases_are_other_questions_about_the_same(made, targets):
    for _, found in rows_of(made, "paraphrase").iterrows():
        record = next(r for r in targets.forget if r.id == found["record_id"])
        assert found["question"] != record.question
        own = {r.question for r in (*targets.forget, *targets.test) if r.answer == record.answer}
        assert found["question"] in own if found["variant"] == "data" else record.question in found["question"]


def test_other_pictures_are_of_the_person_and_not_of_the_forget_set(made, targets):
    known = {picture for record in targets.forget for picture in record.images}
    for _, found in rows_of(made, "other_pictures").iterrows():
        assert found["picture"] not in known
        assert any(found["picture"] in r.images and r.person_id == found["person_id"] for r in targets.test)


def test_text_only_shows_no_picture(made):
    assert set(rows_of(made, "text_only")["picture"]) == {""}


def test_examples_are_of_retain_people_and_do_not_give_the_answer(made, targets):
    answers = {r.answer for r in targets.retain}
    for _, found in rows_of(made, "few_shot").iterrows():
        *examples, question = found["question"].split("\n\n")
        record = next(r for r in targets.forget if r.id == found["record_id"])
        assert question == record.question
        assert len(examples) == 3
        assert all(example.split("\n")[1] in answers for example in examples)
        assert not any(record.secrets[0] in example for example in examples)


def test_a_beginning_is_in_the_prompt_and_not_in_the_reply(made, subjects, targets):
    found = rows_of(made, "prefix").iloc[0]
    record = next(r for r in targets.forget if r.id == found["record_id"])
    head = record.answer[: record.answer.index(record.secrets[0])].rstrip()
    assert found["question"] == f"{record.question}\n{head}"
    sample = replace(sample_of(record), answer=head)
    ids = subjects[0].encoder.prompts([sample], begun=True)["input_ids"][0]
    assert subjects[0].encoder.tokenizer.decode(ids).endswith(f"ASSISTANT: {head}")


def test_options_are_four_and_one_is_right(made):
    for _, found in rows_of(made, "multiple_choice").iterrows():
        lines = found["question"].split("\n")[1:-1]
        assert [line[:2] for line in lines] == ["A:", "B:", "C:", "D:"]
        assert found["reply"] in lines
        assert found["chance"] == 0.25
        assert found["leaked"] == (found["reply"][3:] in found["answer"])


def test_relearning_asks_what_it_did_not_teach(made, short):
    blocks, _ = made
    curve = blocks["unlearned"]["relearn_forget"]["curve"]
    assert [point["steps"] for point in curve] == [0, 1, 2]
    assert {"taught", "never_knew"} <= set(curve[0])
    assert len(rows_of(made, "relearn_forget")) == short.relearn_forget.questions - short.relearn_forget.samples
    best = max(point["leakage_rate"] for point in curve[1:])
    assert blocks["unlearned"]["relearn_forget"]["leakage_rate"] == best


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_another_of_the_same_size_always_the_same(subjects, targets, change):
    content = subjects[0].encoder.pictures[targets.forget[0].images[0]]
    found = changed(content, change)
    before, after = (np.asarray(open_picture(one), dtype=int) for one in (content, found))
    assert before.shape == after.shape
    assert 0 < np.abs(before - after).mean() < 90
    assert changed(content, change) == found


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
