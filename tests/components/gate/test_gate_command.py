"""The command of the stage gate: files in, verdict out, exit code."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.gate.__main__ import app
from tests.viker.gate.conftest import Tree
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.evidence.seal import check_seal

ROOT = Path(__file__).parents[3]


def leaky(metrics: dict) -> None:
    metrics["unlearned"]["attacks"]["paraphrase"]["leakage_rate"] = 0.9


def test_a_passed_gate_exits_with_0_and_writes_the_verdict(tree: Tree) -> None:
    result = CliRunner().invoke(app, tree.options())
    assert result.exit_code == 0, result.output
    assert json.loads(tree.out.read_text())["verdict"] == "pass"
    assert "gate: pass" in result.output


@pytest.mark.parametrize(("option", "code"), [("--enforce", 3), ("--no-enforce", 0)])
def test_a_failed_gate_is_written_and_exits_with_3_only_where_enforced(tree: Tree, option: str, code: int) -> None:
    tree.edit(leaky, sealed=True)
    result = CliRunner().invoke(app, [*tree.options(), option])
    assert result.exit_code == code
    assert json.loads(tree.out.read_text())["verdict"] == "fail"
    assert "unlearned.attacks.paraphrase.leakage_rate is 0.9, not <=" in result.output
    assert "Protects from: Facts that come back when a question is put in other words." in result.output


def test_enforcing_is_the_default(tree: Tree) -> None:
    tree.edit(leaky, sealed=True)
    assert CliRunner().invoke(app, tree.options()).exit_code == 3


def test_nan_in_the_metrics_file_fails_the_gate(tree: Tree) -> None:
    tree.edit(lambda m: m["unlearned"]["fluency"].update(gibberish_rate=math.nan), sealed=True)
    result = CliRunner().invoke(app, tree.options())
    assert result.exit_code == 3
    verdict = json.loads(tree.out.read_text())
    assert [rule["metric"] for rule in verdict["rules"] if not rule["passed"]] == ["unlearned.fluency.gibberish_rate"]


def test_metrics_that_are_no_object_are_an_error_and_no_verdict(tree: Tree) -> None:
    tree.metrics.write_text("[1, 2]")
    result = CliRunner().invoke(app, tree.options())
    assert isinstance(result.exception, UserError) and "expected a JSON object, found list" in str(result.exception)
    assert not tree.out.exists()


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("metrics", "evaluate"),
        ("predictions", "evaluate"),
        ("attacks", "evaluate"),
        ("adapter", "unlearn"),
        ("vanilla", "finetune"),
    ],
)
def test_a_missing_input_is_an_error_that_names_the_stage(tree: Tree, missing: str, stage: str) -> None:
    getattr(tree, missing).rename(tree.folder / "elsewhere")
    result = CliRunner().invoke(app, tree.options())
    assert isinstance(result.exception, UserError)
    assert f"viker {stage}" in str(result.exception)
    assert not tree.out.exists()


def test_the_verdict_says_by_which_policy_and_on_what(tree: Tree) -> None:
    verdict = tree.judge(rules=["unlearned.forget.leakage_rate <= 0.01"])
    policy = ROOT / "viker/gate/policies/default.yaml"
    assert (verdict["policy"], verdict["policy_sha256"]) == ("default", sha256_path(policy))
    assert verdict["own"] == {"rules": ["unlearned.forget.leakage_rate <= 0.01"], "require": []}
    assert verdict["rules"][-1]["rule"] == "unlearned.forget.leakage_rate <= 0.01"
    metrics = json.loads(tree.metrics.read_text())
    trained = json.loads((tree.unlearning / "summary.json").read_text())
    judged = {"metrics": metrics["digest"], "unlearning": trained["digest"]}
    assert verdict["inputs"] == metrics["inputs"] | judged
    assert json.loads(tree.out.read_text()) == verdict
    assert check_seal(verdict)


def test_the_same_files_give_the_same_bytes(tree: Tree) -> None:
    tree.judge()
    first = tree.out.read_bytes()
    tree.judge()
    assert tree.out.read_bytes() == first


def test_the_module_is_the_program_and_needs_no_torch(tree: Tree) -> None:
    code = (
        "import runpy, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "sys.argv[0] = 'gate'\n"
        "runpy.run_module('components.gate', run_name='__main__', alter_sys=False)"
    )
    done = subprocess.run([sys.executable, "-c", code, *tree.options()], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "gate: pass" in done.stdout
