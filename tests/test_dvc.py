"""dvc.yaml is the map of the project: what it says of a stage must be so."""

import os
import re
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.contract.params import load_params
from components.contract.stages import artifacts, default, stages
from tests.examples import examples
from tests.imports import closure, dependencies, graph, paths_of
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[1]
FILE = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
MAP: dict[str, dict[str, Any]] = FILE["stages"]
STAGES = tuple(stages())
SEEDED_ON_TORCH = ("finetune", "unlearn", "evaluate")


def names(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outs(stage: str) -> list[str]:
    return names(MAP[stage].get("outs", []) + MAP[stage].get("metrics", []))


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def test_the_stages_are_those_that_are_declared_each_after_those_it_reads() -> None:
    assert set(MAP) == set(STAGES)
    for name, stage in stages().items():
        before = {artifacts()[what.artifact][0] for what in stage.inputs().values()}
        assert before <= set(list(MAP)[: list(MAP).index(name)])
    assert {path.parent.name for path in (ROOT / "components").glob("*/stage.py")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_command_is_the_stages_own_program(stage: str) -> None:
    assert re.fullmatch(rf"python -m components\.{stage}( --[a-z-]+)*", MAP[stage]["cmd"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_just_the_code_that_it_imports(stage: str) -> None:
    code = [dep for dep in MAP[stage]["deps"] if dep.startswith(("components/", "viker/"))]
    assert code == dependencies(stage)


def test_the_example_of_a_stage_depends_on_just_the_code_that_it_imports() -> None:
    code = "\n".join(text for title, text in examples().items() if title.startswith("components/notice/"))
    named = set(re.findall(r"^from ([\w.]+) import (\w+)", code, re.MULTILINE))
    modules = {name for package, member in named for name in (package, f"{package}.{member}")} & graph().modules
    deps = YAML(typ="safe", pure=True).load(examples()["dvc.yaml"])["notice"]["deps"]
    assert deps == [*sorted({*paths_of(closure(modules)), "components/notice"}), "metrics/gate.json"]


def test_a_change_in_the_code_for_s3_makes_only_prepare_and_sample_due() -> None:
    due = {stage for stage in STAGES if any(inside("viker/storage/s3.py", dep) for dep in MAP[stage]["deps"])}
    assert due == {"prepare", "sample"}


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_those_that_the_stage_declares(stage: str) -> None:
    params, sections = names(MAP[stage].get("params", [])), stages()[stage].sections
    assert set(params) == ({"params.yaml"} if sections is None else set(sections))


@pytest.mark.parametrize("stage", STAGES)
def test_inputs_and_outputs_are_those_that_the_stage_declares(stage: str) -> None:
    declared = stages()[stage]
    data = [dep for dep in MAP[stage]["deps"] if not dep.startswith(("components/", "viker/", "${prepare."))]
    inputs = {default(what).as_posix() for what in declared.inputs().values()}
    outputs = {what.path for what in declared.outputs().values()}
    for listed, paths in ((data, inputs), (outs(stage), outputs)):
        assert all(any(inside(one, path) for path in paths) for one in listed)
        assert all(any(inside(one, path) for one in listed) for path in paths)


@pytest.mark.parametrize("stage", SEEDED_ON_TORCH)
def test_what_decides_the_numbers_of_torch_is_a_parameter(stage: str) -> None:
    assert {"seed", "threads"} <= set(MAP[stage]["params"])


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


def test_the_page_of_plots_draws_them_and_asks_no_other_host(tmp_path, browser) -> None:
    for name in (".dvc/config", ".dvc/plots.html", "dvc.yaml", "params.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "unlearning").mkdir()
    (tmp_path / "unlearning/loss.csv").write_text("step,loss,ga,kl,retain\n1,-2,-3,0.5,0\n2,-4,-5,0.5,0\n")
    (tmp_path / "unlearning/entropy.csv").write_text("entropy,tokens\n0.0,9\n0.1,3\n")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["git", "init", "-q"], [*dvc, "plots", "show"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    page = tmp_path / "dvc_plots/index.html"
    assert not re.search(r"""<(?:script|img|link|iframe)[^>]*\s(?:src|href)=["']?(?:https?:)?//""", page.read_text())
    tab, asked, wrong = browser.new_page(), list[str](), list[object]()
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(error))
    tab.goto(page.as_uri())
    tab.locator(".marks").nth(1).wait_for()
    menu = tab.locator(".vega-actions a").evaluate_all("links => links.map(link => link.textContent)")
    tab.close()
    assert asked == [page.as_uri()] and wrong == []
    assert menu and not any("Editor" in entry for entry in menu)  # which would send the data to its host


def test_bytecode_does_not_count_as_code() -> None:
    assert "__pycache__" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split()


def test_continuous_integration_runs_what_users_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert all(
        command in script.read_text(encoding="utf-8")
        for command in ("make audit", "make test-recipe", "exec make test\n")
    )
