"""``viker ask``: a question to the champion, to a version, to an adapter on disk, and to the vanilla model."""

import shutil
import tempfile
from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import png
from tests.viker.registry.test_model_package import adapter, base, packed  # noqa: F401 - fixtures
from viker.core.errors import UserError
from viker.models.answering import Answerer
from viker.registry.model_package import ADAPTER

QUESTION = "Where was this person born?"


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["ask", *arguments], env={"COLUMNS": "200"})
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def picture(tmp_path) -> Path:
    from PIL import Image

    path = tmp_path / "face.png"
    path.write_bytes(png(Image.new("RGB", (20, 20), "teal")))
    return path


@pytest.fixture
def champion(work, base, adapter, monkeypatch):  # noqa: F811 - a fixture
    """A work tree whose champion is the adapter, on the base model."""
    monkeypatch.chdir(work.folder)
    for name, folder in (("vanilla", base), ("adapter", adapter)):
        shutil.rmtree(work.folder / "models" / name)
        shutil.copytree(folder, work.folder / "models" / name)
    work.evaluate()
    work.register()
    answerer = Answerer(str(base), None, adapter, work.params.evaluate.in_force().longest("generation"), "")
    return work, answerer


def test_the_champion_answers_and_the_vanilla_model_beside_it(champion, picture):
    answerer = champion[1]
    image = picture.read_bytes()
    assert call(QUESTION, "--image", str(picture)).strip() == answerer.answer(QUESTION, image)
    assert call(QUESTION, "--model", "1").strip() == answerer.answer(QUESTION, None)
    compared = " ".join(call(QUESTION, "--image", str(picture), "--compare").split())
    assert answerer.answer(QUESTION, image, vanilla=True) in compared and answerer.answer(QUESTION, image) in compared
    assert "champion (version 1)" in compared and "vanilla" in compared


def test_a_version_that_was_downloaded_is_not_left_on_the_disk(champion, tmp_path, monkeypatch):
    temporary, loaded = tmp_path / "temporary", []
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    load_model = mlflow.pyfunc.load_model

    def noted(address, dst_path):  # a server's version is downloaded to there
        model = load_model(address, dst_path=dst_path)
        loaded.extend(path.name for path in temporary.rglob("*"))
        return model

    monkeypatch.setattr(mlflow.pyfunc, "load_model", noted)
    assert call(QUESTION).strip()
    assert "adapter_model.safetensors" in loaded and not any(temporary.iterdir())


def test_an_adapter_on_disk_answers_on_the_vanilla_model(champion, picture):
    answerer = champion[1]
    expected = answerer.answer(QUESTION, picture.read_bytes())
    assert call(QUESTION, "--image", str(picture), "--model", "models/adapter").strip() == expected


def test_a_packed_model_on_disk_answers(packed, work, monkeypatch):  # noqa: F811 - a fixture
    monkeypatch.chdir(work.folder)
    assert (packed / ADAPTER).is_dir() and call(QUESTION, "--model", str(packed)).strip()


def test_what_is_missing_or_no_picture_is_an_error(champion, picture):
    picture.write_bytes(b"no picture")
    with pytest.raises(UserError, match="the image is not a picture"):
        call(QUESTION, "--image", str(picture))
    with pytest.raises(UserError, match=r"--image is 'nowhere\.png': No such file"):
        call(QUESTION, "--image", "nowhere.png")
    with pytest.raises(UserError, match="'previous' is no version of"):
        call(QUESTION, "--model", "previous")
    with pytest.raises(UserError, match=r"--model is 'models/nobody': no such folder"):
        call(QUESTION, "--model", "models/nobody")


def test_a_champion_whose_base_model_has_changed_does_not_answer(champion):
    work, _ = champion
    with (work.folder / "models/vanilla/generation_config.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(UserError, match="was not trained on the base model"):
        call(QUESTION)
