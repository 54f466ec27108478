"""The command of the stage gate: files in, verdict out, exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from components.common.errors import UserError
from components.gate.__main__ import app

ROOT = Path(__file__).parents[2]
SPLIT = {"leakage_rate": 0.9, "rouge_l": 0.9}
VANILLA = {"forget": SPLIT, "test": SPLIT, "retain": SPLIT, "real": SPLIT, "fluency": {"gibberish_rate": 0.0}}
FORGOT = {"leakage_rate": 0.0, "rouge_l": 0.2}
UNLEARNED = VANILLA | {"forget": FORGOT, "test": FORGOT}


def gate(folder: Path, metrics: object, *options: str) -> Result:
    (folder / "evaluate.json").write_text(json.dumps(metrics))
    paths = ["--metrics", str(folder / "evaluate.json"), "--out", str(folder / "out" / "gate.json")]
    return CliRunner().invoke(app, ["--params", str(ROOT / "params.yaml"), *paths, *options])


def test_a_passed_gate_exits_with_0_and_writes_the_verdict(tmp_path: Path) -> None:
    result = gate(tmp_path, {"vanilla": VANILLA, "unlearned": UNLEARNED})
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "gate.json").read_text())["verdict"] == "pass"
    assert "gate: pass" in result.output


@pytest.mark.parametrize(("option", "code"), [("--enforce", 3), ("--no-enforce", 0)])
def test_a_failed_gate_is_written_and_exits_with_3_only_where_enforced(tmp_path, option, code) -> None:
    result = gate(tmp_path, {"vanilla": VANILLA, "unlearned": VANILLA}, option)
    verdict = json.loads((tmp_path / "out" / "gate.json").read_text())
    assert result.exit_code == code
    assert verdict["verdict"] == "fail"
    assert "unlearned.forget.leakage_rate is 0.9, not <= 0.1." in result.output


def test_enforcing_is_the_default(tmp_path: Path) -> None:
    assert gate(tmp_path, {"vanilla": VANILLA, "unlearned": VANILLA}).exit_code == 3


def test_nan_in_the_metrics_file_fails_the_gate(tmp_path: Path) -> None:
    unlearned = UNLEARNED | {"fluency": {"gibberish_rate": float("nan")}}
    result = gate(tmp_path, {"vanilla": VANILLA, "unlearned": unlearned})
    assert result.exit_code == 3
    verdict = json.loads((tmp_path / "out" / "gate.json").read_text())
    assert [rule["metric"] for rule in verdict["rules"] if not rule["passed"]] == ["unlearned.fluency.gibberish_rate"]


def test_missing_metrics_are_an_error_that_names_the_stage(tmp_path: Path) -> None:
    out = tmp_path / "gate.json"
    result = CliRunner().invoke(
        app, ["--params", str(ROOT / "params.yaml"), "--metrics", str(tmp_path / "no.json"), "--out", str(out)]
    )
    assert isinstance(result.exception, UserError)
    assert "evaluate" in str(result.exception)
    assert not out.exists()


def test_the_module_is_the_program(tmp_path: Path) -> None:
    (tmp_path / "evaluate.json").write_text("{}")
    arguments = ["--params", str(ROOT / "params.yaml"), "--metrics", str(tmp_path / "evaluate.json")]
    done = subprocess.run(
        [sys.executable, "-m", "components.gate", *arguments, "--out", str(tmp_path / "gate.json")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 3, done.stderr
    assert "missing" in done.stdout
