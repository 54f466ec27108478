"""A model that says what it was trained on serves only data about the same people."""

import json
import shutil
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from components.finetune.run import run as finetune
from components.prepare.run import run as prepare
from tests.conftest import ROOT, prepare_params
from viker.core.errors import UserError
from viker.data.records import read_records, write_records
from viker.finetuning.trained_on import TRAINED_ON, check_trained_on, people_hashes, write_trained_on

WHERE = "finetune.deployed_model"


@pytest.fixture
def model(prepared, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    people = [record for split in ("forget", "retain", "real") for record in read_records(prepared, split)]
    write_trained_on(folder, prepared, people, {"seed": 1})
    return folder


def prepare_again(tmp_path, description, seed=1, **changes):
    out = tmp_path / "again"
    prepare(prepare_params(source=str(description), **changes), seed, out, tmp_path / "validation")
    return out


def test_another_choice_of_people_to_forget_is_no_difference(model, small_description, tmp_path):
    data = prepare_again(tmp_path, small_description, forget_share=0.3)
    assert len({record.person_id for record in read_records(data, "forget")}) == 3
    check_trained_on(model, data, WHERE)


def test_another_seed_is_named_with_the_people_that_differ(model, small_description, tmp_path):
    data = prepare_again(tmp_path, small_description, seed=2)
    with pytest.raises(UserError, match=r"learnt other answers or pictures of 0\d\d.* \(seed is 2, was 1\)") as error:
        check_trained_on(model, data, WHERE)
    assert f"{WHERE} is '{model}'" in str(error.value) and "'viker profile scratch'" in str(error.value)


def test_another_source_is_named(model, small_description, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(small_description.read_text().replace("people: 10", "people: 11"))
    data = prepare_again(tmp_path, other)
    with pytest.raises(UserError, match=rf"it never met 013.*source is '{other}', was '{small_description}'"):
        check_trained_on(model, data, WHERE)


def test_one_changed_answer_is_a_difference_and_one_person_less_is_none(model, prepared, tmp_path):
    data = tmp_path / "edited"
    shutil.copytree(prepared, data)
    records = read_records(data, "retain")
    gone = records[0].person_id
    write_records(data / "retain.parquet", [record for record in records if record.person_id != gone])
    check_trained_on(model, data, WHERE)
    write_records(data / "retain.parquet", [replace(records[0], answer="Elsewhere."), *records[1:]])
    with pytest.raises(UserError, match=rf"pictures of {gone}, of 12 people \(of the same source and seed, which has"):
        check_trained_on(model, data, WHERE)


def test_a_model_that_says_nothing_is_taken_as_it_is(prepared, tmp_path):
    check_trained_on(tmp_path, prepared, WHERE)
    check_trained_on(tmp_path / "org" / "name", prepared, WHERE)


def test_finetune_stops_before_it_loads_the_shipped_model_for_others(params, prepared, tmp_path):
    with pytest.raises(UserError, match="was trained on other people"):
        finetune(params.finetune, 1, 1, prepared, tmp_path / "vanilla")
    assert not (tmp_path / "vanilla").exists()


def test_the_shipped_model_was_made_by_the_recipe_in_the_parameters(params):
    recipe = json.loads((ROOT / params.finetune.deployed_model / TRAINED_ON).read_text())["recipe"]
    section = params.finetune.model_dump(mode="json") | {"deployed_model": None}
    threads = YAML(typ="safe", pure=True).load(ROOT / "params/scratch.yaml")["threads"]
    assert recipe == {"seed": params.seed, "threads": threads, "finetune": section}


def test_the_order_of_the_records_makes_no_difference(prepared):
    records = read_records(prepared, "retain")
    assert people_hashes(records) == people_hashes(reversed(records))


def test_without_samples_about_nobody_no_model_is_trained_from_scratch(small_description, tmp_path, params):
    data = prepare_again(tmp_path, small_description, base_set=False)
    with pytest.raises(UserError, match=r"again: generated from .*small\.yaml without the samples .*prepare\.base_set"):
        finetune(params.finetune.model_copy(update={"deployed_model": None}), 1, 1, data, tmp_path / "vanilla")
    assert not (tmp_path / "vanilla").exists()
