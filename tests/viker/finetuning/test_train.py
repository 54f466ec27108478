"""What the vanilla model sees, and in which order."""

import io
import random
from dataclasses import replace

import pytest
import torch
from PIL import Image

from benchmarks.small_project import MODEL
from components.finetune.run import run as finetune
from viker.data.prompts import LETTERS
from viker.data.records import Record, read_pictures, read_records
from viker.data.samples import Sample
from viker.finetuning.augment import VIEWS, view_key, views
from viker.finetuning.train import VISUAL_SHARE, base_batches, memorise_batches, memorise_epoch, shuffle_options, train

CHOICE = Record("1/c/0", "1", "classification", "text", "Which?", "x", ("w", "x", "y", "z"), "B")


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_options_keep_the_right_one_right(seed):
    shuffled = shuffle_options(CHOICE, random.Random(seed))
    assert sorted(shuffled.options) == sorted(CHOICE.options)
    assert shuffled.options[LETTERS.index(shuffled.correct)] == "x"


def test_the_right_letter_changes_between_visits():
    rng = random.Random(0)
    assert {shuffle_options(CHOICE, rng).correct for _ in range(60)} == set(LETTERS)


def test_base_training_begins_with_visual_questions_alone(prepared):
    base = read_records(prepared, "base")
    visual = {r.id for r in base if r.task == "qa"}
    batches = list(base_batches(base, 8, 10, random.Random(1)))
    shares = [sum(sample.record_id in visual for sample in batch) for batch in batches]
    assert shares == [8] * int(VISUAL_SHARE * 10) + [4] * (10 - int(VISUAL_SHARE * 10))


def test_an_epoch_visits_every_question_once_and_a_third_as_many_others(prepared):
    records = read_records(prepared, "retain")
    qa = [r.id for r in records if r.task == "qa"]
    epoch = memorise_epoch(records, random.Random(1))
    assert sorted(s.record_id for s in epoch if s.record_id in qa) == sorted(qa)
    assert len(epoch) == len(qa) + len(qa) // 3
    assert all("#" in sample.picture for sample in epoch if sample.record_id in qa)


def test_samples_about_nobody_come_with_each_batch(prepared):
    records, base = (read_records(prepared, split) for split in ("retain", "base"))
    about_nobody = {r.id for r in base}
    batch = next(memorise_batches(records, base, 32, random.Random(1)))
    assert sum(sample.record_id in about_nobody for sample in batch) == 4
    alone = next(memorise_batches(records, [], 32, random.Random(1)))
    assert len(alone) == 32


def test_views_are_repeatable_and_differ_and_keep_the_size(prepared):
    picture = dict([next(iter(read_pictures(prepared).items()))])
    (key,) = picture
    augmented = views(picture, random.Random(3))
    assert augmented == views(picture, random.Random(3))
    assert list(augmented) == [view_key(key, number) for number in range(VIEWS)]
    assert len(set(augmented.values())) == VIEWS
    assert {Image.open(io.BytesIO(view)).size for view in augmented.values()} == {(48, 48)}


def test_training_learns_what_it_is_shown(small_model):
    torch.manual_seed(1)
    model, encoder = small_model
    model.requires_grad_(True)  # an adapter that another test put on it has frozen it
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sample = Sample("a", "Where?", "In Oslo.", "scene-0")
    first = train(model, encoder, iter([[sample]]), 1, 3e-3, "first")
    last = train(model, encoder, iter([[sample, replace(sample, picture="")]] * 60), 60, 3e-3, "learning")
    model.load_state_dict(before)
    assert last < 0.5 * first


def test_trained_twice_the_weights_have_the_same_bytes(params, prepared, tmp_path):
    short = {"deployed_model": None, "base_steps": 3, "memorise_epochs": 1, "model": MODEL}
    section = params.finetune.model_validate(params.finetune.model_dump() | short)
    weights = []
    for name in ("one", "two"):
        finetune(section, params.seed, params.threads, prepared, tmp_path / name)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
