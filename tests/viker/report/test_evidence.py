"""The report refuses what is no evidence for the files that are here, and then writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.viker.report.work_tree import Inputs
from viker.core.errors import UserError
from viker.evidence.seal import seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


METRICS, GATE, SUMMARY = "metrics/evaluate.json", "metrics/gate.json", "unlearning/summary.json"


def edit(name: str, change: Callable[[dict[str, Any]], object], sealed: bool = False) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(seal(content) if sealed else content))

    return apply


def better(content: dict[str, Any]) -> None:
    content["unlearned"]["forget"]["leakage_rate"] = 0.0001


def replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


def append(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b" ")


CHANGES = {
    "edited metrics": (edit(METRICS, better), "its metrics were edited"),
    "edited metrics, sealed again": (edit(METRICS, better, sealed=True), "measured again after the gate"),
    "metrics without digest": (edit(METRICS, lambda c: c.pop("digest")), "its metrics were edited"),
    "edited verdict": (edit(GATE, lambda c: c.update(verdict="pass" if c["verdict"] == "fail" else "fail")), "edited"),
    "verdict on other data": (edit(GATE, lambda c: c["inputs"].update(data="0" * 64), sealed=True), "another data"),
    "metrics that are a list": (lambda f: (f / METRICS).write_text("[]"), "expected a JSON object, found list"),
    "verdict that is a number": (lambda f: (f / GATE).write_text("7"), "expected a JSON object, found int"),
    "other replies": (lambda f: Inputs(f).predict(Inputs(f).predictions()[1:]), "another predictions"),
    "other manifest": (replace("data/prepared/manifest.json", "anna-lind", "bo-ek"), "another data"),
    "other records": (append("data/prepared/base.parquet"), "base.parquet|can't be read"),
    "other settings of evaluate": (
        replace("params.yaml", "max_new_tokens: null", "max_new_tokens: 1"),
        "another params",
    ),
    "another seed": (replace("params.yaml", "seed: 7", "seed: 8"), "another params"),
    "other rules": (replace("params.yaml", "<= 0.10", "<= 0.90"), "judged by other rules"),
    "another adapter registered": (
        edit("metrics/register.json", lambda c: c.update(adapter="0" * 64)),
        "another adapter: run 'viker register'",
    ),
    "edited summary of the training": (
        edit(SUMMARY, lambda c: c.update(method="IDK")),
        "summary of its unlearning run was edited",
    ),
    "summary of another adapter": (
        edit(SUMMARY, lambda c: c.update(adapter="0" * 64), sealed=True),
        "unlearning run is another than the gate saw",
    ),
    "another loss curve": (replace("unlearning/loss.csv", ",144,", ",1,"), r"loss\.csv changed since unlearn"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_as_it_was_judged_has_no_report(inputs: Inputs, change: str) -> None:
    (inputs.folder / "data/prepared/base.parquet").touch()
    inputs.reseal()
    alter, said = CHANGES[change]
    alter(inputs.folder)
    with pytest.raises(UserError, match=said):
        inputs.write(consistent=False)
    assert not (inputs.folder / "report").exists()


def test_edited_metrics_of_an_earlier_run_are_refused(inputs: Inputs) -> None:
    earlier = inputs.folder / "earlier.json"
    earlier.write_bytes((inputs.folder / METRICS).read_bytes())
    inputs.write(earlier=(earlier,), consistent=False)
    edit("earlier.json", better)(inputs.folder)
    with pytest.raises(UserError, match=r"earlier.json: these metrics were edited"):
        inputs.write("second/report.html", earlier=(earlier,), consistent=False)
    assert not (inputs.folder / "second").exists()


def test_an_earlier_run_of_another_protocol_is_set_apart_with_a_warning(
    inputs: Inputs, caplog: pytest.LogCaptureFixture
) -> None:
    other = inputs.folder / "earlier.json"
    metrics = json.loads((inputs.folder / "metrics/evaluate.json").read_text())
    metrics["inputs"]["protocol"], metrics["protocol"] = "0" * 64, "mllmu"
    other.write_text(json.dumps(seal(metrics)))
    inputs.write(earlier=(other,))
    assert "earlier runs, another protocol" in (inputs.folder / "report/report.html").read_text()
    assert "earlier.json was measured by protocol mllmu, this run by viker" in caplog.text
