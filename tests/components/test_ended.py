"""What a run came to, by the notes of its tasks; the engine's own state may be anything."""

import os
import time

import pytest

from components.contract.ended import (
    FAILED,
    GATE_FAILED,
    KEPT,
    NOTHING,
    PASSED,
    note,
    note_refusal,
    outcome,
    refusals,
    remove_old,
)
from viker.core.files import write_json

RESOLVED = ("components.prepare.resolve", {"work": "yes"}, "")
JUDGED = ("components.register", {"version": 3, "gate_verdict": "pass"}, "")
CLOSED = ("components.register.close", {}, "")
FELL = ("components.register", {"version": 3, "gate_verdict": "fail"}, "")
BROKE = ("components.unlearn", {}, "unlearn.start_from is damaged")


@pytest.mark.parametrize(
    ("notes", "state", "expected"),
    [
        ([RESOLVED, JUDGED, CLOSED], "COMPLETE", PASSED),
        ([RESOLVED, JUDGED, CLOSED], "RUNNING", PASSED),
        ([RESOLVED, FELL], "COMPLETE", GATE_FAILED),
        ([("components.prepare.resolve", {"work": "no"}, "")], "COMPLETE", NOTHING),
        ([RESOLVED, BROKE], "COMPLETE", FAILED),
        ([RESOLVED], "RUNNING", FAILED),
        ([RESOLVED, JUDGED], "FAILED", FAILED),
        ([], "COMPLETE", PASSED),
        ([], "FAILED", FAILED),
        ([RESOLVED, JUDGED], "CANCELED", FAILED),
    ],
)
def test_the_outcome_is_what_the_tasks_noted(notes, state, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path))
    for program, results, error in notes:
        note("run", program, results, error)
    found, errors = outcome("run", state)
    assert found == expected
    if expected == FAILED and notes:
        assert errors


def test_a_later_attempt_that_ends_well_replaces_the_note_of_one_that_failed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path))
    note("run", "components.register.close", {}, "no answer")
    assert outcome("run", "COMPLETE")[0] == FAILED
    note("run", "components.register.close", {})
    assert outcome("run", "COMPLETE") == (PASSED, [])


def test_each_refusal_is_counted(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path / "tracking"))
    assert refusals() == "0"
    note_refusal()
    note_refusal()
    assert refusals() == "2"


def test_what_ended_runs_left_on_the_volume_goes_after_a_month(tmp_path) -> None:
    for name in ("unlearn/a", "evaluate/b", "tracking/ended/c", "unlearn/new"):
        write_json(tmp_path / name / "state.json", {})
        if not name.endswith("new"):
            for path in (tmp_path / name, tmp_path / name / "state.json"):
                os.utime(path, (time.time() - KEPT - 60,) * 2)
    assert remove_old(tmp_path) == ["tracking/ended/c", "unlearn/a", "evaluate/b"]
    assert (tmp_path / "unlearn/new").is_dir()
