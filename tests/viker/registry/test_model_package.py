"""A version is an MLflow model: it answers outside of this project, and only on its own base model."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch
from peft import PeftModel

from tests.answering import QUESTION, png, write_adapter, write_base
from viker.core.errors import UserError
from viker.models.answering import Answerer
from viker.models.base_model import base_digest
from viker.models.loading import load_model
from viker.registry.model_package import ADAPTER, library_code, pack

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def base(small_model, tmp_path_factory) -> Path:
    return write_base(small_model, tmp_path_factory.mktemp("models") / "vanilla")


@pytest.fixture(scope="module")
def adapter(base) -> Path:
    return write_adapter(base, base.parent / "adapter", seed=1)


@pytest.fixture(scope="module")
def packed(base, adapter) -> Path:
    folder = base.parent / "packed"
    pack(folder, adapter, str(base), base_digest(str(base), "test"), 8)
    return folder


def test_it_answers_as_the_adapter_does_and_not_as_the_vanilla_model(packed, base, adapter):
    model = mlflow.pyfunc.load_model(str(packed))
    answerer = Answerer(str(base), None, adapter, 8, "")
    questions = pd.DataFrame({"image": [png(), None], "question": [QUESTION, QUESTION]})

    answers = model.predict(questions)["answer"].tolist()

    assert answers == [answerer.answer(QUESTION, png()), answerer.answer(QUESTION, None)]
    assert answers[0] != answerer.answer(QUESTION, png(), vanilla=True)


def test_pefts_own_loader_takes_the_artifact(packed, base):
    model, _ = load_model(str(base), "test")
    assert PeftModel.from_pretrained(model, str(packed / ADAPTER)).peft_config["default"].r == 2


def test_it_says_what_goes_in_and_comes_out_with_an_example(packed):
    signature = mlflow.models.get_model_info(str(packed)).signature
    assert signature.inputs.to_dict() == [
        {"type": "binary", "name": "image", "required": False},
        {"type": "string", "name": "question", "required": True},
    ]
    assert signature.outputs.input_names() == ["answer"]
    example = mlflow.models.Model.load(str(packed)).load_input_example(str(packed))
    answers = mlflow.pyfunc.load_model(str(packed)).predict(example)
    assert answers.shape == (1, 1)
    request = (packed / "serving_input_example.json").read_text()  # as 'mlflow models serve' gets it, base64
    assert mlflow.models.validate_serving_input(str(packed), request).equals(answers)


def test_nothing_in_it_is_pickled_and_the_base_model_is_not_copied(packed, base):
    files = [path for path in packed.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".bin", ".pt", ".joblib")]
    assert [path.name for path in files if path.suffix == ".safetensors"] == ["adapter_model.safetensors"]


def test_its_requirements_are_pinned_to_the_projects_versions(packed):
    pinned = (ROOT / "constraints.txt").read_text().split()
    lines = (packed / "requirements.txt").read_text().split()
    assert set(lines) <= set(pinned) and "torch==2.13.0" in lines and len(lines) > 10


def test_the_library_modules_that_a_program_imports_are_found_with_all_that_they_import(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import viker.report.load\n"
        "def run():\n    from viker.core import files\n"
    )
    modules = [module.relative_to(ROOT / "viker").as_posix() for module in library_code(program)]
    assert modules == ["__init__.py", "core/__init__.py", "core/errors.py", "core/files.py"]


def test_the_code_that_travels_along_is_what_answering_needs_and_little_more(packed):
    modules = {module.relative_to(packed / "code").as_posix() for module in (packed / "code").rglob("*.py")}
    assert {"viker/__init__.py", "viker/models/answering.py", "viker/data/prompts.py"} <= modules
    assert len(modules) < 30 and not [name for name in modules if "tracking" in name or "training" in name]


def test_an_absent_base_model_is_named_with_how_to_give_another(packed):
    with pytest.raises(Exception, match=r"'/nowhere': no such folder.*model_config=.*VIKER_BASE_MODEL"):
        mlflow.pyfunc.load_model(str(packed), model_config={"base_model": "/nowhere"})


def test_another_base_model_is_refused_and_a_moved_one_is_taken(packed, base, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    shutil.copytree(base, moved)
    mlflow.pyfunc.load_model(str(packed), model_config={"base_model": str(moved)})
    config = moved / "generation_config.json"
    config.write_text(config.read_text() + " ")
    monkeypatch.setenv("VIKER_BASE_MODEL", str(moved))
    with pytest.raises(Exception, match=r"was not trained on the base model .*: its SHA-256 is .*, expected"):
        mlflow.pyfunc.load_model(str(packed))


@pytest.mark.slow
def test_of_a_base_model_on_the_hub_the_commit_is_loaded_that_the_adapter_was_trained_on(base, adapter, tmp_path):
    """The hub's own cache, offline, in which the branch main has moved on to a model of other weights."""
    model, processor = load_model(str(base), "test")
    cache = tmp_path / "hub/models--owner--vanilla"
    commits = {"1" * 40: 1.0, "2" * 40: 0.0}
    for commit, factor in commits.items():
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(factor)
        for part in (model, processor):
            part.save_pretrained(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("2" * 40)
    (tmp_path / "picture.png").write_bytes(png())
    code = (
        "import sys; from pathlib import Path; from viker.models.answering import Answerer\n"
        "from viker.models.base_model import base_digest\n"
        "base, digest, adapter, question = sys.argv[1:]\n"
        "asked = question, Path('picture.png').read_bytes()\n"
        "print(base_digest('owner/vanilla', 'test'))\n"
        "print(Answerer(base, digest, Path(adapter), 8, '').answer(*asked))"
    )
    hub = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    answers = {}
    for commit in commits:
        command = [sys.executable, "-c", code, "owner/vanilla", commit, str(adapter), QUESTION]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | hub, capture_output=True, text=True, check=True)
        answers[commit] = done.stdout.split("\n")
    assert {lines[0] for lines in answers.values()} == {"2" * 40}  # a new adapter would belong to the branch as it is
    expected = Answerer(str(base), None, adapter, 8, "").answer(QUESTION, png())
    assert answers["1" * 40][1] == expected != answers["2" * 40][1]


def test_a_picture_that_is_none_and_an_empty_question_are_errors(base, adapter):
    answerer = Answerer(str(base), None, adapter, 8, "")
    with pytest.raises(UserError, match="the image is not a picture"):
        answerer.answer(QUESTION, b"no picture")
    with pytest.raises(UserError, match="the question is empty"):
        answerer.answer(" ", png())


@pytest.mark.slow
def test_it_loads_where_the_project_is_not(packed, tmp_path):
    code = (
        "import mlflow, sys\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "import viker.models.answering as used\n"
        "assert used.__file__.startswith(sys.argv[1]), used.__file__\n"
        "print('answered', len(model.predict({'question': ['Who is this?']})))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", code, str(packed)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert "answered 1" in done.stdout, done.stderr[-2000:]
