"""A stage's program as a task of Kubeflow: what it is given and what it hands on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from ruamel.yaml import YAML

from components.contract.kfp_task import from_struct, merged, metadata, outputs, parse, to_struct
from viker.core.errors import UserError
from viker.core.files import sha256_path

ROOT = Path(__file__).parents[2]
values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**53), 2**53)
    | some.floats(allow_nan=False)
    | some.text(max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)


@given(values)
def test_values_come_back_as_they_were_through_a_struct_that_knows_no_null(value) -> None:
    there = to_struct(value)
    assert "null" not in json.dumps(there).replace('"null"', "")
    assert from_struct(there) == value


@pytest.mark.parametrize(("text", "value"), [("7.0", 7), ("7", 7), ("0.001", 0.001), ("1e-6", 1e-6), ("-2.0", -2)])
def test_whole_numbers_are_ints_though_kubeflow_keeps_doubles(text, value) -> None:
    parsed = parse(f'{{"a": [{text}]}}')["a"][0]
    assert parsed == value
    assert type(parsed) is type(value)


def test_sections_are_laid_over_sections_and_lists_replaced() -> None:
    assert merged({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "e": 2}) == {
        "a": {"b": 1, "c": [3]},
        "d": 1,
        "e": 2,
    }


def test_metadata_of_metrics_has_the_main_numbers_and_not_the_blocks_beside_them(tmp_path) -> None:
    file = tmp_path / "metrics"
    file.write_text(json.dumps({"unlearned": {"forget": {"leakage_rate": 0.1, "intervals": {"leakage_rate": [0, 1]}}}}))
    facts = metadata(file, "system.Metrics")
    assert facts == {
        "unlearned.forget.leakage_rate": 0.1,
        "sha256": sha256_path(file),
        "bytes": file.stat().st_size,
    }


def test_metadata_of_a_folder_has_the_scalars_of_its_manifest(tmp_path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"seed": 7, "source": "s", "counts": {"forget": 1}}))
    (tmp_path / "x.parquet").write_bytes(b"abc")
    facts = metadata(tmp_path, "system.Dataset")
    assert (facts["seed"], facts["source"]) == (7, "s")
    assert "counts" not in facts
    assert facts["bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())


def executor_input(folder: Path, artifacts: dict[str, str], parameters: list[str], params: dict | None = None) -> dict:
    return {
        "inputs": {"parameterValues": {} if params is None else {"params": params}},
        "outputs": {
            "outputFile": str(folder / "executor_output.json"),
            "artifacts": {
                name: {"artifacts": [{"name": name, "uri": str(folder / name), "type": {"schemaTitle": kind}}]}
                for name, kind in artifacts.items()
            },
            "parameters": {name: {"outputFile": str(folder / "parameters" / name)} for name in parameters},
        },
    }


def test_an_output_parameter_that_no_file_has_is_an_error(tmp_path) -> None:
    (tmp_path / "judged").write_text('{"verdict": "pass"}')
    task = executor_input(tmp_path, {"judged": "system.Metrics", "missing": "system.Model"}, ["verdict"])
    made = outputs(task)
    assert made["parameterValues"] == {"verdict": "pass"}
    assert set(made["artifacts"]) == {"judged"}
    with pytest.raises(UserError, match="no version"):
        outputs(executor_input(tmp_path, {"judged": "system.Metrics"}, ["version"]))


@pytest.mark.parametrize("scheme", ["s3", "gs", "minio"])
def test_an_artifact_in_a_store_lies_where_the_launcher_mounts_it(scheme) -> None:
    from components.contract.kfp_task import _path

    assert _path({"uri": f"{scheme}://bucket/run/task/model"}) == Path(
        f"/{'gcs' if scheme == 'gs' else scheme}/bucket/run/task/model"
    )


def run(folder: Path, task: dict, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.contract.kfp_task", json.dumps(task), module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=None, check=False)


def test_a_task_runs_its_stage_with_the_params_given_and_hands_its_results_on(tmp_path) -> None:
    task = executor_input(
        tmp_path,
        {"resolved": "system.Artifact"},
        ["work", "unlearn"],
        {"unlearn": {"epochs": 3.0, "start_from": "null"}},
    )
    done = run(tmp_path, task, "components.prepare.resolve", f"--out={tmp_path / 'resolved'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "parameters/work").read_text() == "yes"
    given_on = json.loads((tmp_path / "parameters/unlearn").read_text())
    assert given_on["unlearn"]["epochs"] == 3
    assert given_on["unlearn"]["start_from"] == "null"
    assert given_on["seed"] == YAML(typ="safe").load(ROOT / "params.yaml")["seed"]
    written = json.loads((tmp_path / "executor_output.json").read_text())
    artifact = written["artifacts"]["resolved"]["artifacts"][0]
    assert artifact["metadata"]["sha256"] == sha256_path(tmp_path / "resolved")


def test_a_task_that_fails_hands_nothing_on(tmp_path) -> None:
    task = executor_input(tmp_path, {"resolved": "system.Artifact"}, ["work"], {"unlearn": {"epochs": 0}})
    done = run(tmp_path, task, "components.prepare.resolve", f"--out={tmp_path / 'resolved'}")
    assert done.returncode == 1
    assert "unlearn.epochs" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_need_not_be_tried_again_ends_well_and_says_why_in_its_outcome(tmp_path) -> None:
    task = executor_input(tmp_path, {"resolved": "system.Artifact"}, ["work", "outcome"], {"unlearn": {"epochs": 0}})
    done = run(tmp_path, task, "components.prepare.resolve", f"--out={tmp_path / 'resolved'}")
    assert done.returncode == 0
    assert "isn't tried again" in done.stderr
    assert "unlearn.epochs" in (tmp_path / "parameters/outcome").read_text()
    assert not (tmp_path / "parameters/work").exists()
    assert "unlearn.epochs" in json.loads((tmp_path / "resolved/refused.json").read_text())["error"]


def test_the_part_that_some_stages_read_alone_is_an_artifact_of_its_own(tmp_path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared/manifest.json").write_text('{"seed": 7}')
    (tmp_path / "prepared/pictures.parquet").write_bytes(b"x" * 1000)
    task = executor_input(tmp_path, {"prepared": "system.Dataset", "prepared_manifest": "system.Artifact"}, [])
    made = outputs(task)
    assert [path.name for path in (tmp_path / "prepared_manifest").iterdir()] == ["manifest.json"]
    assert set(made["artifacts"]) == {"prepared", "prepared_manifest"}
