"""``viker repro``: repairs DVC's locks, and ends well where nobody is to be forgotten."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from components.contract.params import load_params
from components.contract.program import stage_program
from components.contract.stages import stages
from pipelines.cli.repro import repro
from pipelines.dvc_plan import estimate
from pipelines.dvc_run import LOG
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


def test_off_a_terminal_each_stage_has_a_plain_line_and_dvcs_advice_none(project, capsys):
    Path("people").write_text('["p1"]')
    with Path("prepare.sh").open("a") as script:
        script.write("printf 'read:  10%%|#  | 1/10 [00:00]\\rread: 100%%|##| 10/10 [00:01]\\n' >&2\n")
        script.write("echo 'note: one row is odd'; echo 'a table of many lines'\n")
    repro()
    said = capsys.readouterr()
    assert re.sub(r"\d+ s$", "N s", said.out, flags=re.M).splitlines() == [
        "To run: prepare, later",
        "No estimate: prepare, later never ran here.",
        "    note: one row is odd",
        "[1/2] prepare  done in N s",
        "[2/2] later    done in N s",
    ]
    assert said.err == "" and "a table of many lines" in LOG.read_text()
    repro()
    said = capsys.readouterr()
    assert said.out.startswith("Every stage is up to date: nothing to run.\n")
    Path("people").write_text('["p2"]')
    repro()
    assert re.search(r"\nAbout \d+ seconds, as they last took here\.\n", capsys.readouterr().out)


def test_the_demo_has_an_estimate_before_its_first_run(tmp_path):
    params = load_params(ROOT / "params.yaml")
    assert estimate(tmp_path, list(stages()), params) == "About 90 seconds, as on two idle cores."
    scratch = params.model_copy(update={"finetune": params.finetune.model_copy(update={"deployed_model": None})})
    assert estimate(tmp_path, ["finetune"], scratch) == "No estimate: finetune never ran here."


def test_on_a_terminal_the_line_of_a_stage_is_redrawn_with_its_progress(project):
    Path("people").write_text('["p1"]')
    with Path("prepare.sh").open("a") as script:
        script.write("printf 'read:  10%%|#  | 1/10 [00:00]\\r'; sleep 1.5\n")
    shown, terminal = pty.openpty()
    command = [sys.executable, "-c", "from pipelines.cli.repro import repro; repro()"]
    termios.tcsetwinsize(terminal, (24, 100))
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=os.environ | {"PYTHONPATH": str(ROOT)}) as ran:
        os.close(terminal)
        said = b""
        with suppress(OSError):  # the terminal is closed at the end
            while chunk := os.read(shown, 65536):
                said += chunk
    os.close(shown)
    assert ran.returncode == 0
    assert b"[1/2] prepare  read: 10 % (1 of 10)" in said
    assert b"To run: prepare, later" in said and b"git add" not in said


def test_of_a_failed_stage_all_that_it_printed_is_shown(project, capsys):
    Path("people").write_text('["p1"]')
    with Path("prepare.sh").open("a") as script:
        script.write("echo 'error: data/mine.csv, row 3: no answer' >&2; exit 4\n")
    with pytest.raises(typer.Exit):
        repro()
    said = capsys.readouterr()
    assert "[1/2] prepare  failed in" in said.out
    assert "error: data/mine.csv, row 3: no answer" in said.err and "work/repro/log.txt" in said.err


def test_plain_dvc_repro_ends_well_without_anybody_and_the_last_outputs_stay(project):
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("later.py").write_text(
        "from pathlib import Path\n"
        "from components.contract.program import stage_program\n"
        "from components.contract.stages import stages\n"
        "def command(settings, params, arguments):\n"
        "    Path('folder/nested').mkdir(parents=True)\n"
        "    Path('folder/nested/adapter').write_text('weights')\n"
        "    Path('replies').write_text('Oslo')\n"
        "stage_program(stages()['gate'], command)()\n"
    )
    stages_yaml = Path("dvc.yaml").read_text().partition("  later:")[0]
    later = f"  later:\n    cmd: {sys.executable} later.py\n    deps: [data/prepared]\n    outs: [folder, replies]\n"
    Path("dvc.yaml").write_text(stages_yaml + later)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def dvc_repro(people: str) -> subprocess.CompletedProcess[str]:
        Path("people").write_text(people)
        command = [sys.executable, "-m", "dvc", "repro"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert dvc_repro('["p1"]').returncode == 0
    without = dvc_repro("[]")
    said = without.stdout + without.stderr
    assert without.returncode == 0, said
    assert "Nobody is to be forgotten: no request is pending. gate: the last outputs stay." in said
    assert (Path("folder/nested/adapter").read_text(), Path("replies").read_text()) == ("weights", "Oslo")

    cached = next(path for path in Path(".dvc/cache").rglob("*") if path.is_file() and path.read_text() == "Oslo")
    cached.unlink()  # as a purge does
    Path("replies").unlink()
    purged = dvc_repro(" []")
    assert purged.returncode == 0, purged.stderr
    assert "but replies: not in DVC's cache any more" in purged.stdout + purged.stderr
    assert (Path("folder/nested/adapter").read_text(), Path("replies").read_text()) == ("weights", "")
