"""One question, one answer: adapters are switched on a base model that is loaded once."""

import shutil
from pathlib import Path

import pytest

from tests.answering import QUESTION, damaged, png, write_adapter, write_base
from viker.core.errors import UserError
from viker.models.answering import Answerer


@pytest.fixture(scope="module")
def base(small_model, tmp_path_factory) -> Path:
    return write_base(small_model, tmp_path_factory.mktemp("answering") / "vanilla")


@pytest.fixture(scope="module")
def adapters(base) -> tuple[Path, Path]:
    return (
        write_adapter(base, base.parent / "first", seed=1),
        write_adapter(base, base.parent / "second", seed=2, rank=4),
    )


def test_after_a_switch_it_answers_as_the_other_adapter_and_the_base_model_is_the_same(base, adapters):
    expected = [Answerer(str(base), None, adapter, 8, "").answer(QUESTION, png()) for adapter in adapters]
    assert expected[0] != expected[1]
    answerer = Answerer(str(base), None, adapters[0], 8, "")
    loaded, vanilla = answerer.model.get_base_model(), answerer.answer(QUESTION, png(), vanilla=True)
    for number in (1, 0, 1):
        answerer.switch(adapters[number])
        assert answerer.answer(QUESTION, png()) == expected[number]
        assert answerer.answer(QUESTION, png(), vanilla=True) == vanilla
        assert answerer.model.get_base_model() is loaded


@pytest.mark.parametrize("damage", ["cut off", "of another model"])
def test_an_adapter_that_cannot_be_loaded_leaves_the_one_from_before(damage, base, adapters, tmp_path):
    answerer = Answerer(str(base), None, adapters[0], 8, "")
    before = answerer.answer(QUESTION, png())
    bad = shutil.copytree(adapters[1], tmp_path / "bad")
    if damage == "cut off":
        weights = bad / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        config = bad / "adapter_config.json"
        config.write_text(config.read_text().replace('"r": 4', '"r": 8'))
    with pytest.raises(UserError, match="bad"):
        answerer.switch(bad)
    assert answerer.answer(QUESTION, png()) == before


def test_a_picture_whose_pixels_are_damaged_is_an_error(base, adapters):
    with pytest.raises(UserError, match="the image is damaged"):
        Answerer(str(base), None, adapters[0], 8, "").answer(QUESTION, damaged(png((60, 60))))
