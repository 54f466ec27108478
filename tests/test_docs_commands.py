"""The commands in the documentation: each is run here, or by a test that is named, or needs what no test has."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.registry import Work

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "requests/README.md", "docs/**/*.md")

HERE = (
    "viker --help",
    "viker status",
    "viker request *",
    "viker profile *",
    "viker plan",
    "viker privacy map",
    "viker seeds *",
    "viker params upgrade*",
    "viker track sync*",
    "viker track views",
    "viker pipeline compile",
    "viker data import path/to/folder*",
    "viker data import PATH *",
    "mlflow artifacts download *",
    "make help",
)
"""Run by this test, in a small tree."""

ELSEWHERE = {
    "make demo": "tests/test_demo.py::test_the_gate_passes_and_the_version_is_the_champion",
    "make demo PROFILE=tofu *": "tests/benchmarks/test_tofu.py::",
    "make demo PROFILE=scratch": "tests/test_recipe.py::test_the_recipe_makes_the_shipped_model_to_the_byte",
    "make test-recipe": "tests/test_recipe.py::test_the_recipe_makes_the_shipped_model_to_the_byte",
    "viker init*": "tests/pipelines/test_cli_help.py::",
    "viker validate*": "tests/pipelines/test_cli_help.py::",
    "viker params schema*": "tests/pipelines/test_cli_help.py::",
    "viker summary*": "tests/pipelines/test_summary.py::",
    "make demo PROFILE=demo": "tests/pipelines/test_profile.py::",
    "python3 -m benchmarks.gpu --size toy": "tests/benchmarks/test_gpu.py::test_the_toy_runs_on_the_model_extras_alone",
    "make audit": "tests/test_audit.py::test_a_database_that_does_not_answer_is_said_and_is_no_failure",
    "make images*": "tests/containers/test_images.py::",
    "docker run * python -m components.gate": (
        "tests/containers/test_chain.py::test_gate_register_and_report_by_verdict"
    ),
    "viker doctor": "tests/pipelines/test_doctor.py::",
    "viker repro": "tests/pipelines/test_repro.py::",
    "dvc repro": "tests/test_demo.py::test_a_second_repro_runs_nothing",
    "dvc exp run -S *": "tests/test_own_data.py::test_an_experiment_is_compared_and_leaves_every_other_byte",
    "dvc metrics diff": "tests/test_own_data.py::test_an_experiment_is_compared_and_leaves_every_other_byte",
    "dvc params diff": "tests/test_own_data.py::test_an_experiment_is_compared_and_leaves_every_other_byte",
    "dvc exp show": "tests/test_own_data.py::test_an_experiment_is_compared_and_leaves_every_other_byte",
    "dvc plots show": "tests/test_dvc.py::test_the_page_of_plots_draws_them_and_asks_no_other_host",
    "dvc remote add *": (
        "tests/pipelines/test_data.py::test_data_from_s3_are_tracked_pushed_wiped_pulled_and_nothing_reruns"
    ),
    "dvc push": "tests/pipelines/test_data.py::test_data_from_s3_are_tracked_pushed_wiped_pulled_and_nothing_reruns",
    "dvc pull": "tests/pipelines/test_data.py::test_data_from_s3_are_tracked_pushed_wiped_pulled_and_nothing_reruns",
    "viker data import s3://*": (
        "tests/pipelines/test_data.py::test_data_from_s3_are_tracked_pushed_wiped_pulled_and_nothing_reruns"
    ),
    "viker data import hf://*": (
        "tests/pipelines/test_data.py::test_data_from_the_hub_are_pinned_tracked_and_prepared"
    ),
    "viker unlearn --out models/retrained": "tests/viker/training/test_training.py::",
    "viker evaluate --vanilla *": (
        "tests/components/evaluate/test_run.py::test_versus_a_retrained_model_there_are_forget_quality_and_kl"
    ),
    "viker gate*": (
        "tests/components/gate/test_gate_command.py::test_a_failed_gate_is_written_and_exits_with_3_only_where_enforced"
    ),
    "viker benchmark *": "tests/viker/evaluation/test_harness.py::",
    "viker export*": "tests/pipelines/test_export.py::",
    "viker promote candidate": "tests/test_own_data.py::test_promotion_carries_out_the_request",
    "viker ask *": "tests/pipelines/test_ask.py::test_the_champion_answers_and_the_vanilla_model_beside_it",
    "viker demo*": "tests/pipelines/test_demo_page.py::",
    "viker verify report/evidence.zip": (
        "tests/test_own_data.py::test_the_report_names_no_value_and_its_bundle_verifies"
    ),
    "viker verify evidence.zip --sha256 *": "tests/pipelines/test_verify.py::test_the_sha256_that_was_kept_is_compared",
    "viker verify evidence.zip --adapter *": (
        "tests/pipelines/test_verify.py::test_the_adapter_that_is_deployed_can_be_compared"
    ),
    "viker purge *": (
        "tests/components/privacy/test_whole_run.py::test_of_two_requests_one_is_purged_and_the_other_is_untouched"
    ),
    "viker recheck": (
        "tests/components/privacy/test_after_the_run.py::test_after_a_purge_the_person_gets_a_page_and_the_champion_is_asked_again"
    ),
    "viker certificate *": (
        "tests/components/privacy/test_after_the_run.py::test_after_a_purge_the_person_gets_a_page_and_the_champion_is_asked_again"
    ),
    "viker audit verify*": (
        "tests/components/privacy/test_after_the_run.py::test_the_audit_log_has_the_run_and_is_whole"
    ),
    "viker sign *": (
        "tests/components/privacy/test_after_the_run.py::test_a_signed_bundle_is_verified_by_its_key_alone"
    ),
    "viker verify * --key *": (
        "tests/components/privacy/test_after_the_run.py::test_a_signed_bundle_is_verified_by_its_key_alone"
    ),
    "viker sweep*": "tests/pipelines/test_sweep.py::",
    "viker tune*": "tests/pipelines/test_tune_run.py::",
    "viker pipeline run *": "tests/pipelines/test_pipeline_host.py::test_the_exit_code_is_the_outcome",
    "viker pipeline schedule *": (
        "tests/pipelines/test_pipeline_host.py::test_a_schedule_is_made_with_one_run_at_a_time_and_no_catching_up"
    ),
}
"""Run by another test."""

NEEDS = {
    "kubectl *": "a cluster",
    "aws *": "a bucket",
    "docker build *": "a Docker engine, and the network",
    "docker push *": "a registry",
    "accelerate launch --multi_gpu *": "several GPUs",
    "dvc exp run --queue *": "minutes of training, in DVC's background workers",
    "dvc queue start *": "minutes of training, in DVC's background workers",
    "python3.11 -m venv *": "nothing: Python's own",
    ".venv-airflow/bin/*": "an Airflow of its own: 'make test-airflow' installs and starts one",
    "make install": "the network; every test runs in what it installs",
    "make lint": "the whole tree at rest; the tests' own target runs it",
    "make test": "nothing: it is this",
    "make test-properties": "minutes; 'make test' runs the same tests with fewer examples, the same each time",
    "make bench-gpu*": "a GPU",
    "pip install viker*": "the network; 'make install' installs it with the tests' other packages",
    "git *": "nothing: git's own",
    "export *": "nothing: the shell's own",
    "source .venv/bin/activate": "nothing: the shell's own",
    ". .venv/bin/activate": "nothing: the shell's own",
    "cp deploy/secrets.example.yaml *": "nothing: the shell's own",
    "sed *": "nothing: the shell's own",
}
"""Run by no test, and what it would take."""


class Command(NamedTuple):
    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def texts() -> Iterator[tuple[str, str]]:
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def commands_of(block: str) -> Iterator[str]:
    for line in block.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word not in ("&&", "||", "&"):
                command.append(word)
            elif command:
                yield " ".join(shlex.quote(part) if " " in part or not part else part for part in command)
                command = []


@cache
def in_blocks() -> list[Command]:
    """The commands in blocks of code without a language, or of the shell's."""
    blocks = [
        (page, match[3])
        for page, text in texts()
        for match in re.finditer(r"^( *)```([^\n]*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
        if match[2] in ("", "sh")
    ]
    return list(dict.fromkeys(Command(page, text) for page, block in blocks for text in commands_of(block)))


def in_prose() -> list[Command]:
    """The commands of viker in the text."""
    mentioned = []
    for page, text in texts():
        prose = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
        mentioned += [Command(page, match) for match in re.findall(r"`(viker [a-z][^`\n|]*)`", prose)]
    return [command for command in dict.fromkeys(mentioned) if "STAGE" not in command.text]


def matches(command: Command, patterns: Any) -> list[str]:
    return [pattern for pattern in patterns if fnmatchcase(command.text, pattern.replace("[", "[[]"))]


def ids(command: Command) -> str:
    return str(command)


@pytest.mark.parametrize("command", in_blocks(), ids=ids)
def test_a_command_is_run_or_it_is_said_why_not(command: Command) -> None:
    assert matches(command, [*HERE, *ELSEWHERE, *NEEDS]), (
        f"{command}: run it in this file (HERE), name the test that runs it (ELSEWHERE), or what it needs (NEEDS)"
    )


@pytest.mark.parametrize("pattern", [*HERE, *ELSEWHERE, *NEEDS])
def test_no_pattern_is_left_over(pattern: str) -> None:
    assert [command for command in in_blocks() if matches(command, [pattern])] != []


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_test_that_runs_it_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [c for c in in_blocks() if c.text.startswith("viker ")] + in_prose(), ids=ids)
def test_viker_takes_the_command_with_its_options(command: Command) -> None:
    words = command.words[1:]
    words = [{"N": "1"}.get(word, word.strip("[]")) for word in words]
    program: Any = typer.main.get_command(app)
    while words and hasattr(program, "get_command"):
        if words == ["--help"]:
            return
        subcommand = program.get_command(None, words[0])
        assert subcommand, f"{command}: there is no command '{words[0]}'"
        program, words = subcommand, words[1:]
    if words or command in in_blocks():  # the text may name a command without its arguments
        program.make_context("viker", words)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree under git and DVC, with the files that the commands name."""
    tree = tmp_path_factory.mktemp("documented") / "tree"
    for name in ("params", "requests", "deploy", "components/finetune/vanilla"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("params.yaml", "dvc.yaml", ".gitignore", ".dvcignore", "Makefile"):
        shutil.copy(ROOT / name, tree / name)
    request = re.search(r"```yaml\n(id: .*?)```", (ROOT / "docs/requests.md").read_text(encoding="utf-8"), re.DOTALL)
    assert request
    (tree / "requests/first.yaml").write_text(request[1], encoding="utf-8")
    for folder in ("path/to/folder", "PATH"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / "people.csv").write_text("person_id,question,answer\np1,Where?,Oslo\n")
    for number, seed in enumerate("abc"):
        (tree / seed).mkdir()
        metrics = {"unlearned": {"forget": {"leakage_rate": number / 4}}, "inputs": {"adapter": seed}}
        (tree / seed / "evaluate.json").write_text(json.dumps(metrics))
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(words, cwd=tree, check=True)
    return tree


@pytest.fixture
def tree(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "tree")


REGISTRY = ("viker status", "mlflow artifacts download *")
"""Commands that need registered versions."""


@pytest.mark.parametrize("command", [c for c in in_blocks() if matches(c, HERE) and not matches(c, REGISTRY)], ids=ids)
def test_it_runs_in_a_small_tree(command: Command, tree: Path) -> None:
    run(command, tree)


@pytest.mark.parametrize("command", [c for c in in_blocks() if matches(c, REGISTRY)], ids=ids)
def test_it_runs_on_registered_versions(command: Command, history: Work, tmp_path: Path) -> None:
    command = command._replace(text=command.text.replace("viker-adapter", history.name))
    run(command, tmp_path if command.text.startswith("mlflow") else history.folder)


def run(command: Command, folder: Path) -> None:
    program, *words = command.words
    if program == "viker":
        with chdir(folder):
            result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    outcome = subprocess.run([program, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
