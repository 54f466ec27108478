"""The GPU benchmark resumes after an interruption: finished figures are kept, and the time already spent counts."""

import time

import pytest
import torch
from typer.testing import CliRunner

import benchmarks.gpu.__main__ as command_module
import benchmarks.gpu.cases as cases_module
from benchmarks.gpu import clock
from benchmarks.gpu.__main__ import app
from benchmarks.gpu.figures import Figures
from benchmarks.gpu.row import OUT_OF_MEMORY, Row


def test_the_time_of_what_is_stopped_counts_and_what_has_ended_begins_at_zero(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "EVERY", 0.01)

    def stopped():
        time.sleep(0.2)
        raise KeyboardInterrupt

    def time_of(work):
        return clock.Clock(tmp_path / "clock.json").time(torch.device("cpu"), "stage", work)

    with pytest.raises(KeyboardInterrupt):
        time_of(stopped)
    assert not clock.Clock(tmp_path / "clock.json").has_ended("stage")
    second = time_of(lambda: None)
    assert second.seconds >= 0.1 and second.parts == 2 and clock.Clock(tmp_path / "clock.json").has_ended("stage")
    third = time_of(lambda: None)
    assert third.seconds < second.seconds and third.parts == 1


def test_what_was_measured_stays_as_long_as_it_is_the_same_that_is_measured(tmp_path):
    path, said = tmp_path / "gpu/7b.json", []
    rows = {
        "a": [Row("a", 1.0), Row("b", note="not measured: no GPU")],
        "c": [Row("c", note=f"{OUT_OF_MEMORY}; without a way: a reason")],
        "d": [Row("d", note="not measured: nltk is not installed")],
    }
    figures = Figures(path, {"torch": "2", "rounds": 5}, said.append)
    for name in ("d", "c", "a"):
        figures.add(name, rows[name])
    again = Figures(path, {"torch": "2", "rounds": 5}, said.append)
    assert again.lacking("abcd") == ["b", "d"] and again.rows("acd") == [*rows["a"], *rows["c"], *rows["d"]]
    assert said == []
    other = Figures(path, {"torch": "3", "rounds": 5}, said.append)
    assert other.lacking("a") == ["a"] and said == [
        f"{path}: from another setup, so everything is measured again: torch was '2', is '3'"
    ]


def test_the_command_goes_on_with_what_is_lacking(tmp_path, monkeypatch):
    done = []
    cases = {name: lambda _, name=name: done.append(name) or [Row(name, 1.0)] for name in ("one", "two")}
    for module in (command_module, cases_module):
        monkeypatch.setattr(module, "CASES", cases)
    page = tmp_path / "page.md"
    page.write_text("<!-- make bench-gpu SIZE=toy -->\n\n<!-- end -->\n")
    options = ["--size", "toy", "--samples", "2", "--out", str(tmp_path / "toy.json"), "--page", str(page)]

    def run(*more):
        done.clear()
        result = CliRunner().invoke(app, [*options, *more])
        assert result.exit_code == 0, result.output
        return list(done), result.output

    assert run("--rows", "two")[0] == ["two"]
    assert run()[0] == ["one"]
    assert run()[0] == []
    assert run("--rows", "one")[0] == ["one"]
    assert run("--rows", "all")[0] == ["one", "two"]
    page.write_text("<!-- make bench-gpu SIZE=toy -->\n\n<!-- end -->\n")
    made, shown = run("--rows", "none")
    assert made == [] and "| one | 1 |" in shown and "| two | 1 |" in page.read_text()
