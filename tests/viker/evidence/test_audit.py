"""The audit log: every change of a line is found."""

import json

import pytest

from viker.core.errors import UserError
from viker.evidence.audit import FIRST, append, audit_log, check


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("VIKER_PRIVACY_DIR", str(tmp_path))
    for number in range(4):
        append("verdict", {"version": number, "verdict": "pass"})
    return audit_log()


def test_a_whole_log_has_its_last_hash(log):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[0]["before"] == FIRST
    assert check(log) == (4, lines[-1]["hash"])
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_same_event_at_once_again_is_not_repeated(log):
    append("verdict", {"version": 3, "verdict": "pass"})
    assert check(log).lines == 4


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace("pass", "fail"), *lines[2:]], 2),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [*lines[:3], lines[3][:40]], 4),
        (lambda lines: ["[]", *lines], 1),
    ],
    ids=["changed", "removed", "exchanged", "repeated", "torn", "put in"],
)
def test_a_change_is_found_where_it_is(log, change, line):
    log.write_text("".join(f"{one}\n" for one in change(log.read_text().splitlines())))
    with pytest.raises(UserError, match=f"line {line} of"):
        check(log)


def test_nothing_is_appended_to_a_log_that_was_changed(log):
    log.write_text(log.read_text().replace("pass", "fail", 1))
    with pytest.raises(UserError, match="line 1 of 4"):
        append("purge", {})
