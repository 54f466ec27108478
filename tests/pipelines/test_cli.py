import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.contract.stages import stages
from pipelines.cli.main import SPANNING, STAGES, app

ROOT = Path(__file__).parents[2]
HEAVY = "{'torch', 'transformers', 'mlflow', 'great_expectations', 'matplotlib', 'pandas', 'peft', 'skimage'}"


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200", "TERM": "dumb"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_help_lists_every_command_in_order_with_what_it_does() -> None:
    lines = help_of().splitlines()
    rows = [
        line.strip("│ ").split(maxsplit=1) for line in lines[next(i for i, t in enumerate(lines) if "Commands" in t) :]
    ]
    listed = [row for row in rows if row and row[0] in (*STAGES, *SPANNING)]
    assert [row[0] for row in listed] == [*STAGES, *SPANNING]
    assert all(len(row) == 2 and len(row[1].split()) >= 3 for row in listed)


def test_help_loads_nothing_heavy() -> None:
    asked = f"app(['--help'], standalone_mode=False); sys.exit(sorted({HEAVY} & set(sys.modules)) or 0)"
    code = f"import sys; from pipelines.cli.main import app; {asked}"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_params_are_read_without_loading_torch() -> None:
    """All plug-ins are imported for their settings: they load what computes inside their functions."""
    asked = (
        "load_params(Path('params.yaml')); sys.exit(sorted({'torch', 'transformers', 'scipy'} & set(sys.modules)) or 0)"
    )
    code = f"import sys; from pathlib import Path; from components.contract.params import load_params; {asked}"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["pipelines.sweep.run", "pipelines.tune.run", "pipelines.dvc_run"])
def test_what_only_waits_for_stages_holds_no_model_libraries(module: str) -> None:
    code = f"import sys, {module}; sys.exit(sorted({{'torch', 'transformers'}} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_the_same_options_either_way(stage: str) -> None:
    programs = ((f"components.{stage}",), ("pipelines.cli.main", stage))
    own, umbrella = (options(run(*program, "--help").stdout) for program in programs)
    assert own == umbrella
    listed = set(re.findall(r"--[a-z-]+", "\n".join(own)))
    assert {f"--{name.replace('_', '-')}" for name in stages()[stage].declared()} <= listed


def options(help_text: str) -> list[str]:
    """The lines of a help text but for the usage, which names the program, and the umbrella's example."""
    lines = help_text.split("Example:")[0].splitlines()
    return [line for line in lines if line.strip() and "Usage" not in line]


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["one-argument-too-many"]])
def test_a_usage_error_exits_with_2_either_way(arguments: list[str]) -> None:
    own, umbrella = run("components.register", *arguments), run("pipelines.cli.main", "register", *arguments)
    assert own.returncode == umbrella.returncode == 2


def test_a_users_error_is_the_same_paragraph_and_exits_with_1_either_way(tmp_path: Path) -> None:
    own, umbrella = run("components.register", cwd=tmp_path), run("pipelines.cli.main", "register", cwd=tmp_path)
    assert own.returncode == umbrella.returncode == 1
    assert own.stderr == umbrella.stderr and own.stderr.startswith("error: ") and "Traceback" not in own.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_spanning_commands_error_exits_with_1(tmp_path: Path) -> None:
    result = run("pipelines.cli.main", "profile", "nobody", cwd=tmp_path)
    assert result.returncode == 1 and "no profile 'nobody'" in result.stderr


def test_an_unknown_command_exits_with_2() -> None:
    result = CliRunner().invoke(app, ["forget"])
    assert result.exit_code == 2 and "No such command 'forget'" in result.output


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0 and result.output.startswith("viker")


def test_the_installed_command_is_this_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"viker": "pipelines.cli.main:main"}
