"""docs/kubernetes.md: each command of this project's that it gives is one, with the options that it has."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from pipelines.cli.main import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in re.sub(r"\\\n", " ", block).split("\n")]
COMMANDS = [shlex.split(part, comments=True) for line in LINES for part in line.split("&&")]
VIKER = [words[1:] for words in COMMANDS if words[:1] == ["viker"]]


@pytest.mark.parametrize("words", VIKER, ids=lambda words: " ".join(words[:2]))
def test_viker_takes_the_command(words: list[str]) -> None:
    command = typer.main.get_command(app)
    while hasattr(command, "get_command"):
        command, words = command.get_command(None, words[0]), words[1:]
    if words != ["--help"]:
        command.make_context("viker", words)


def test_the_steps_from_the_first_run_to_the_schedule_are_among_them() -> None:
    assert [tuple(words[:2]) for words in VIKER if words[0] == "pipeline"] == [
        *[("pipeline", "run")] * 2,
        ("pipeline", "schedule"),
    ]


def test_make_has_the_targets() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = [words[1] for words in COMMANDS if words[:1] == ["make"]]
    assert asked and set(asked) <= set(targets)


def test_the_files_are_there() -> None:
    named = set(re.findall(r"\b(?:deploy|docs)/[\w./-]*\w", TEXT))
    assert {"deploy/base", "deploy/standalone", "deploy/secrets.example.yaml"} <= named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
