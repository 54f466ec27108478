"""Several seeds as one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.cli.seeds import over_seeds, read
from viker.core.errors import UserError


def run(rate: float | None, digest: str = "d") -> dict:
    forget = {"leakage_rate": rate, "samples": 4, "intervals": {"leakage_rate": [0, 1]}, "counts": {"leakage_rate": 4}}
    return {"schema": 2, "digest": digest, "inputs": {"adapter": "a"}, "unlearned": {"forget": forget}}


def test_mean_and_deviation_by_hand_and_nothing_but_metrics():
    found = over_seeds([run(0.0), run(0.1), run(0.5)])
    assert list(found) == ["unlearned.forget.leakage_rate"]
    assert found["unlearned.forget.leakage_rate"] == {
        "mean": pytest.approx(0.2),
        "deviation": pytest.approx(((0.04 + 0.01 + 0.09) / 2) ** 0.5),
        "lowest": 0.0,
        "highest": 0.5,
    }


def test_a_metric_that_a_run_lacks_has_no_mean():
    found = over_seeds([run(0.0), run(None), run(0.5)])
    assert set(found["unlearned.forget.leakage_rate"].values()) == {None}


def test_the_command_shows_and_writes(tmp_path: Path):
    for seed, rate in enumerate((0.1, 0.3)):
        (tmp_path / f"{seed}.json").write_text(json.dumps(run(rate, str(seed))))
    files = [str(tmp_path / f"{seed}.json") for seed in range(2)]
    done = CliRunner().invoke(app, ["seeds", *files, "--out", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    assert "unlearned.forget.leakage_rate" in done.output and "0.2" in done.output
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["seeds"] == 2
    assert written["metrics"]["unlearned.forget.leakage_rate"]["mean"] == pytest.approx(0.2)


def test_runs_of_different_protocols_are_compared_with_a_warning(tmp_path: Path):
    for name in ("viker", "mllmu"):
        measured = run(0.1, name) | {"protocol": name, "inputs": {"protocol": name}}
        (tmp_path / f"{name}.json").write_text(json.dumps(measured))
    done = CliRunner().invoke(app, ["seeds", *(str(tmp_path / f"{name}.json") for name in ("viker", "mllmu"))])
    assert done.exit_code == 0
    assert "warning: the runs were asked by different protocols (mllmu, viker)" in done.output


def test_one_run_and_the_same_run_twice_are_refused(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(run(0.1)))
    with pytest.raises(UserError, match="no spread"):
        read([path])
    with pytest.raises(UserError, match="the same run"):
        read([path, path])
