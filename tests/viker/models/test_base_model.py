"""An adapter is taken only for the model it was trained on."""

import json

import pytest

from viker.core.errors import UserError
from viker.models.base_model import DEPLOYED, check_adapter_base


def write_model(folder, content="{}"):
    folder.mkdir()
    (folder / "config.json").write_text(content)
    return folder


@pytest.fixture
def vanilla(tmp_path):
    return write_model(tmp_path / "vanilla")


@pytest.fixture
def adapter(tmp_path):
    """A function that writes an adapter of a base model and returns its folder."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").touch()

    def of(base):
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base and str(base)}))
        return folder

    return of


def test_the_model_itself_a_copy_of_it_or_one_that_is_gone_is_accepted(tmp_path, vanilla, adapter):
    for base in (vanilla, write_model(tmp_path / "copy"), tmp_path / "gone", None):
        check_adapter_base(adapter(base), vanilla)


def test_a_model_of_other_files_is_refused_by_both_names(tmp_path, vanilla, adapter):
    other = write_model(tmp_path / "other", '{"model_type": "llava"}')
    with pytest.raises(UserError, match=rf"was trained on '{other}', not on the vanilla model '{vanilla}'"):
        check_adapter_base(adapter(other), vanilla)


def test_names_on_a_hub_must_be_equal(tmp_path, adapter):
    pointer = tmp_path / "vanilla"
    pointer.mkdir()
    (pointer / DEPLOYED).write_text(json.dumps({"model": "llava-hf/llava-1.5-7b-hf"}))
    check_adapter_base(adapter("llava-hf/llava-1.5-7b-hf"), pointer)
    with pytest.raises(UserError, match=r"trained on 'llava-hf/llava-1\.5-13b-hf'"):
        check_adapter_base(adapter("llava-hf/llava-1.5-13b-hf"), pointer)


@pytest.mark.parametrize("missing", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_folder_without_a_whole_adapter_names_the_stage_that_makes_one(vanilla, adapter, missing):
    folder = adapter(vanilla)
    (folder / missing).unlink()
    with pytest.raises(UserError, match=f"{folder}: no adapter here.*run 'viker unlearn' first"):
        check_adapter_base(folder, vanilla)
