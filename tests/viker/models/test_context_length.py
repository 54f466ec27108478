"""A record that a model can't read whole is named before anything is trained or asked."""

import shutil
from dataclasses import replace

import pytest

from components.finetune.run import run as finetune
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.components.evaluate.whole import evaluate, settings, write_inputs
from viker.core.errors import UserError
from viker.data.records import read_records, write_records
from viker.data.samples import sample_of
from viker.models.context_length import need_context


@pytest.fixture
def samples(prepared):
    return [sample_of(record) for record in read_records(prepared, "forget")[:4]]


def context(model, monkeypatch, tokens):
    monkeypatch.setattr(model.config.get_text_config(), "max_position_embeddings", tokens)


def test_a_sample_as_long_as_the_context_is_read_and_a_longer_one_named(small_model, samples, monkeypatch):
    model, encoder = small_model
    longest = max(samples, key=lambda one: len(encoder.encode(one)[0]))
    tokens = len(encoder.encode(longest)[0])
    context(model, monkeypatch, tokens)
    need_context(model, encoder, samples, "data")
    context(model, monkeypatch, tokens - 1)
    with pytest.raises(UserError, match=rf"data, record '{longest.record_id}'.* take {tokens} tokens.* {tokens - 1} "):
        need_context(model, encoder, samples, "data")
    context(model, monkeypatch, 3)
    with pytest.raises(UserError, match="4 of 4 records are too long"):
        need_context(model, encoder, samples, "data")


def test_a_model_that_names_no_context_is_not_checked(small_model, samples, monkeypatch):
    model, encoder = small_model
    monkeypatch.delattr(model.config.get_text_config(), "max_position_embeddings")
    need_context(model, encoder, samples, "data")


@pytest.fixture
def too_long(prepared, tmp_path):
    """A function that gives one question of a task and split 3,000 words, in a copy of the prepared data."""
    shutil.copytree(prepared, tmp_path / "prepared")

    def lengthen(split, task):
        records = read_records(prepared, split)
        place = next(i for i, record in enumerate(records) if record.task == task)
        records[place] = replace(records[place], question="Where? " * 3000)
        write_records(tmp_path / f"prepared/{split}.parquet", records)
        return rf"{tmp_path}/prepared, record '{records[place].id}': .* context is 2,048 .* 1 of \d+ records"

    return lengthen


def test_finetune_names_the_record_and_writes_nothing(params, tmp_path, too_long):
    with pytest.raises(UserError, match=too_long("retain", "cloze")):
        from_scratch = params.finetune.model_copy(update={"deployed_model": None})
        finetune(from_scratch, 1, 1, tmp_path / "prepared", tmp_path / "vanilla")
    assert not (tmp_path / "vanilla").exists()


@pytest.mark.parametrize("split", ["forget", "retain"])
def test_unlearn_names_the_record_and_writes_nothing(prepared, params, tmp_path, too_long, split):
    write_inputs(tmp_path, prepared)
    sample(params.sample, 1, tmp_path / "prepared", tmp_path / "images")
    places = [tmp_path / name for name in ("prepared", "vanilla", "images", "out", "records", "state")]
    with pytest.raises(UserError, match=too_long(split, "qa")):
        unlearn(params.unlearn, 1, 1, Arguments(*places))
    assert not any(place.exists() for place in places[3:])


def test_evaluate_names_the_record_and_writes_nothing(prepared, tmp_path, too_long):
    write_inputs(tmp_path, prepared)
    with pytest.raises(UserError, match=too_long("retain", "cloze")):
        evaluate(tmp_path, tmp_path / "prepared", settings())
    assert not any((tmp_path / name).exists() for name in ("predictions.parquet", "evaluate.json", "work"))
