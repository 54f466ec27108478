"""A small benchmark in CLEAR's exact shape, as it is and to be broken."""

import shutil
from pathlib import Path

import pytest

from tests.viker.data.clear_data import write_clear
from viker.data.formats import clear
from viker.data.formats.base.intake import Intake


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_clear(tmp_path_factory.mktemp("clear") / "clear")


@pytest.fixture
def source(sound, tmp_path) -> Path:
    shutil.copytree(sound, tmp_path / "clear")
    return tmp_path / "clear"


@pytest.fixture
def load(tmp_path):
    return lambda source, ids=(), gone=(), share=0.1: clear.load(
        source, share, ids, gone, Intake(tmp_path, "fail", 0.0)
    )
