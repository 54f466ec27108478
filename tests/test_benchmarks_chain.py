"""Each benchmark in its published form goes through the whole chain, from prepare to report, with a few steps each."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from ruamel.yaml import YAML

from pipelines.cli.main import STAGES
from tests.conftest import ROOT
from tests.test_demo import ENVIRONMENT
from tests.viker.data.clear_data import write_clear
from tests.viker.data.mllmu_data import write_mllmu
from tests.viker.data.umu_data import write_umu

pytestmark = pytest.mark.slow
CHAINS = """
import importlib, os, sys
for folder in sys.argv[2:]:
    os.chdir(folder)
    for stage in sys.argv[1].split():
        importlib.import_module(f"components.{stage}.__main__").app([], standalone_mode=False)
"""
"""All stages in each folder, in one process: starting one and importing torch takes longer than most stages."""
WRITERS: dict[str, Callable[[Path], Path]] = {
    "clear": lambda folder: write_clear(folder, factor=67),
    "mllmu": lambda folder: write_mllmu(folder, factor=100),
    "umu": lambda folder: write_umu(folder, factor=100),
}
MODEL = {"image_size": 16, "patch_size": 8, "vision_width": 16, "vision_layers": 1, "width": 32, "layers": 2}
SMALL = {
    "prepare": {"source": "source", "requests": "no requests"},
    "finetune": {"deployed_model": None, "memorise_epochs": 1, "model": MODEL | {"heads": 2, "vocabulary": 600}},
    "unlearn": {"epochs": 1, "batch_size": 8},
    "evaluate": {"max_new_tokens": 8, "processes": 1},
    "gate": {"policy": None, "rules": ["unlearned.forget.samples >= 1", "unlearned.real.samples >= 1"]},
}


@pytest.fixture(scope="module")
def chains(tmp_path_factory) -> Path:
    """A folder with one for each benchmark, in which all stages have run."""
    root = tmp_path_factory.mktemp("benchmarks")
    for name, write in WRITERS.items():
        write(root / name / "source")
        yaml = YAML()
        params = yaml.load(ROOT / "params.yaml")
        for section, values in SMALL.items():
            params[section] |= values
        params["register"] |= {"experiment": name, "model_name": name}
        for attack, settings in params["evaluate"]["attacks"].items():
            settings |= {"enabled": attack == "paraphrase", "questions": 4}
        yaml.dump(params, root / name / "params.yaml")
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT), "VIKER_TRACKING": "on"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{root}/mlflow.db"
    command = [sys.executable, "-c", CHAINS, " ".join(STAGES), *(str(root / name) for name in WRITERS)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return root


@pytest.fixture(params=WRITERS)
def chain(request, chains) -> tuple[str, Path]:
    """A format's name and the folder of its chain."""
    return request.param, chains / request.param


def test_every_stage_leaves_what_the_next_one_takes(chain):
    name, folder = chain
    assert json.loads((folder / "data/prepared/manifest.json").read_text())["format"] == name
    assert json.loads((folder / "metrics/gate.json").read_text())["verdict"] == "pass"
    registered = json.loads((folder / "metrics/register.json").read_text())
    client = mlflow.MlflowClient(f"sqlite:///{folder.parent}/mlflow.db")
    version = client.get_model_version_by_alias(name, "candidate")
    assert version.version == registered["version"]
    assert "<html" in (folder / "report/report.html").read_text()


def test_the_benchmarks_own_figures_are_measured(chain):
    name, folder = chain
    unlearned = json.loads((folder / "metrics/evaluate.json").read_text())["unlearned"]
    assert ("clear" in unlearned, "umu" in unlearned) == (name == "clear", name == "umu")
    page = (folder / "report/report.html").read_text()
    if name == "clear":
        assert unlearned["clear"]["model_utility"] is not None
        assert unlearned["clear"]["forget_recognition"]["samples"] == 18
    elif name == "umu":
        figures = unlearned["umu"]["retain_classification"]
        assert figures["facts"] == 4
        assert 0 <= figures["all_modal_accuracy"] + figures["all_modal_error"] <= 1
        assert "forget cloze: all modal error" in page
    else:
        assert unlearned["test"]["counts"]["classification_accuracy"] == 4 * 3
        assert unlearned["test"]["text_only"]["counts"]["cloze_accuracy"] == 2
