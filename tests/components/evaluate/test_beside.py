"""Two processes that ask a model each write what one process writes, and end together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.evaluate.beside import vanilla_beside
from components.evaluate.stage import Arguments
from tests.components.evaluate.whole import write_inputs
from tests.conftest import ROOT
from viker.core.errors import UserError
from viker.core.files import read_json


@pytest.fixture
def project(prepared, tmp_path) -> Path:
    write_inputs(tmp_path, prepared)
    (tmp_path / "prepared").symlink_to(prepared)
    return tmp_path


def evaluate(project: Path, processes: int, name: str, cached: bool = False) -> tuple[Path, str]:
    """Run the program with a few attacks, one of them drawn by the adapter; return where it wrote, and its messages."""
    yaml, out = YAML(), project / name
    params = yaml.load(ROOT / "params.yaml")
    params["threads"] = 1
    attacks = {"paraphrase": {"enabled": True, "questions": 3, "wordings": 2}, "random": {"questions": 3}}
    for name, attack in params["evaluate"]["attacks"].items():
        attack |= {"enabled": name in attacks} | attacks.get(name, {})
    params["evaluate"] |= {"processes": processes, "max_new_tokens": 4}
    out.mkdir()
    yaml.dump(params, out / "params.yaml")
    options = [f"--{name}={project / name}" for name in ("prepared", "vanilla", "adapter", "irrelevant")]
    options += [f"--predictions={out}/p.parquet", f"--attacks={out}/a.parquet", f"--metrics={out}/m.json"]
    command = [sys.executable, "-m", "components.evaluate", *options, f"--work={out}/work", "--params=params.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VIKER_TRACKING": "off"}
    environment |= {"VIKER_CACHE_DIR": str(project / "cache"), "VIKER_CACHE_GIB": "1" if cached else "0"}
    run = subprocess.run(command, cwd=out, env=environment, check=True, capture_output=True, text=True)
    return out, run.stderr


@pytest.mark.slow
def test_two_processes_write_what_one_writes_and_leave_nothing(project) -> None:
    one, _ = evaluate(project, 1, "one")
    two, asked = evaluate(project, 2, "two", cached=True)
    again, recalled = evaluate(project, 2, "again", cached=True)
    line = "the vanilla model's answers: taken from"
    assert line not in asked and line in recalled
    for name in ("p.parquet", "a.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes() == (again / name).read_bytes()
    assert (two / "m.json").read_bytes() == (again / "m.json").read_bytes()
    metrics = [read_json(folder / "m.json", "evaluate") for folder in (one, two)]
    for measured in metrics:
        assert measured["inputs"].pop("params")
        measured.pop("digest")
    assert metrics[0] == metrics[1]
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())


def test_a_second_process_that_fails_is_an_error_and_one_that_is_not_needed_is_ended(project, monkeypatch) -> None:
    commands, start = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: commands.append(command) or start(command, **how))
    paths = {name: project / name for name in ("prepared", "vanilla", "adapter", "irrelevant")}
    args = Arguments(**paths, predictions=project, attacks=project, metrics=project, work=project / "work")
    nothing = project / "nothing.yaml"
    with pytest.raises(UserError, match="ended with exit code 1"), vanilla_beside(nothing, args) as answers:
        answers()
    began = []
    with pytest.raises(KeyError), vanilla_beside(ROOT / "params.yaml", args) as answers:
        began.append(answers)
        assert "--gpu-processes=2" in commands[-1]
        raise KeyError
    with pytest.raises(UserError, match="exit code -15"):
        began[0]()
