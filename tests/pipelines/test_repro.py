"""``viker repro``: repairs DVC's locks, and ends well where nobody is to be forgotten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from components.contract.program import stage_program
from components.contract.stages import stages
from pipelines.cli.repro import repro
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A DVC repository with a stage prepare that writes a manifest, and one after it."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    Path("prepare.sh").write_text(
        'mkdir -p data/prepared; echo "{\\"forget_ids\\": $(cat people)}" > data/prepared/manifest.json\n'
    )
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  prepare:\n    cmd: sh prepare.sh\n    deps: [people]\n    outs: [data/prepared]\n"
        "  later:\n    cmd: cp data/prepared/manifest.json later\n    deps: [data/prepared]\n    outs: [later]\n"
    )
    return tmp_path


def test_without_anybody_to_forget_only_prepare_runs_and_all_is_well(project, capsys):
    Path("people").write_text("[]")
    Path(".dvc/tmp").mkdir(exist_ok=True)
    Path(".dvc/tmp/rwlock").write_bytes(b"")
    repro()
    said = capsys.readouterr().out
    assert "torn by a DVC that was killed; removed" in said and "Nobody is to be forgotten" in said
    assert Path("data/prepared/manifest.json").is_file() and not Path("later").exists()
    Path("people").write_text('["p1"]')
    repro()
    assert json.loads(Path("later").read_text()) == {"forget_ids": ["p1"]}


def test_a_failed_stage_is_a_failure(project):
    with pytest.raises(typer.Exit) as ended:
        repro()
    assert ended.value.exit_code != 0


def test_outside_of_a_repository_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is not a DVC repository"):
        repro()


@pytest.mark.parametrize("stage", [name for name, one in stages().items() if "prepared" in one.inputs()])
def test_a_stage_that_needs_people_says_that_there_are_none(tmp_path, stage):
    (tmp_path / "manifest.json").write_text('{"forget_ids": []}')
    program = stage_program(stages()[stage], lambda *_: pytest.fail("it ran")).registered_commands[0].callback
    values = dict.fromkeys(stages()[stage].declared()) | {"prepared": tmp_path}
    with pytest.raises(UserError, match=rf"nobody is to be forgotten.*nothing to do for {stage}; add a request"):
        program(params=ROOT / "params.yaml", **values)
