"""dvc.yaml is the map of the project: what it says of a stage must be so."""

import os
import re
import subprocess
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.params import load_params, params_model
from pipelines.cli.main import STAGES
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[1]
FILE = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
MAP: dict[str, dict[str, Any]] = FILE["stages"]
SECTIONS = {field.alias or name for name, field in params_model().model_fields.items()}
CHECKED = {"gate": {"evaluate"}}
"""Sections of other stages whose values a stage checks."""
SEEDED_ON_TORCH = ("finetune", "unlearn", "evaluate")


def names(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outs(stage: str) -> list[str]:
    return names(MAP[stage].get("outs", []) + MAP[stage].get("metrics", []))


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def test_stages_are_the_folders_of_components_in_the_order_of_the_command_line() -> None:
    folders = {path.name for path in (ROOT / "components").iterdir() if path.is_dir()} - {"common", "__pycache__"}
    assert set(MAP) == folders
    assert tuple(MAP) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_command_is_the_stages_own_program(stage: str) -> None:
    assert re.fullmatch(rf"python -m components\.{stage}( --[a-z-]+)*", MAP[stage]["cmd"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_change_of_the_stages_code_reruns_it(stage: str) -> None:
    code = [dep for dep in MAP[stage]["deps"] if dep.startswith("components/")]
    assert code == ["components/common", f"components/{stage}"]


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_stages_section_and_shared_values_that_exist(stage: str) -> None:
    params = MAP[stage]["params"]
    if names(params) == ["params.yaml"]:
        return
    assert set(params) <= SECTIONS
    assert set(params) - {"seed", "threads"} - CHECKED.get(stage, set()) == {stage}


@pytest.mark.parametrize("stage", SEEDED_ON_TORCH)
def test_what_decides_the_numbers_of_torch_is_a_parameter(stage: str) -> None:
    assert {"seed", "threads"} <= set(MAP[stage]["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_data_that_a_stage_reads_is_written_by_an_earlier_one(stage: str) -> None:
    earlier = [out for other in STAGES[: STAGES.index(stage)] for out in outs(other)]
    data = [dep for dep in MAP[stage]["deps"] if not dep.startswith(("components/", "${prepare."))]
    assert set(data) <= set(earlier)
    assert bool(data) == (stage != "prepare")


def test_a_change_of_the_source_or_of_a_forget_request_reruns_prepare() -> None:
    assert {"${prepare.source}", "${prepare.requests}"} <= set(MAP["prepare"]["deps"])


def test_the_folder_of_requests_is_there_in_a_fresh_clone() -> None:
    folder = load_params(ROOT / "params.yaml").prepare.requests
    assert subprocess.run(["git", "ls-files", "--error-unmatch", folder], cwd=ROOT, capture_output=True).returncode == 0
    assert read_requests(ROOT / folder) == {}


def test_no_output_lies_inside_another() -> None:
    assert not [pair for pair in permutations([out for stage in STAGES for out in outs(stage)], 2) if inside(*pair)]


def test_outputs_are_not_put_into_git() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(f"{out}/x" for stage in STAGES for out in outs(stage)),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert len(ignored.stdout.splitlines()) == sum(len(outs(stage)) for stage in STAGES)


def test_the_lock_is_not_ignored_as_experiments_need_it_in_git() -> None:
    code = subprocess.run(["git", "check-ignore", "--no-index", "-q", "dvc.lock"], cwd=ROOT).returncode
    assert code == 1


def test_of_imported_data_only_the_hash_is_put_into_git() -> None:
    paths = ["data/raw/mllmu.dvc", "data/raw/mllmu/x.parquet", "data/raw/.mllmu.1.tmp/x", "data/sources/x", "data/x"]
    command = ["git", "check-ignore", "--no-index", *paths]
    ignored = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ignored.stdout.split() == paths[1:]


def test_a_registration_is_never_taken_from_the_run_cache() -> None:
    assert {"metrics/register.json": {"persist": True}} in MAP["register"]["outs"]


def test_plots_show_files_that_a_stage_writes() -> None:
    plotted = {path for plot in FILE["plots"] for settings in plot.values() for path in settings["y"]}
    assert plotted == {"unlearning/loss.csv", "unlearning/entropy.csv"}
    assert plotted <= set(outs("unlearn"))


def test_bytecode_does_not_count_as_code() -> None:
    assert "__pycache__" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split()


def test_continuous_integration_runs_what_users_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
