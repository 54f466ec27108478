"""What the docs name is there: targets of make, paths, the steps to the first nightly run."""

import re

from tests.test_docs_commands import ROOT, in_blocks, texts


def test_the_way_from_the_first_run_to_the_schedule_is_documented() -> None:
    steps = [tuple(c.words[1:3]) for c in in_blocks() if c.page == "docs/kubernetes.md" and c.words[0] == "viker"]
    assert [step for step in steps if step[0] == "pipeline"] == [
        *[("pipeline", "run")] * 2,
        ("pipeline", "schedule"),
    ]


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    mentioned = {word for _, text in texts() for word in re.findall(r"`make ([a-z-]+)", text)}
    named = {command.words[1] for command in in_blocks() if command.text.startswith("make ")}
    assert mentioned | named <= targets


def test_the_paths_that_are_named_are_there() -> None:
    folders = "benchmarks|components|deploy|docker|params|requirements|tests|viker/gate"
    named = {path for _, text in texts() for path in re.findall(rf"`((?:{folders})/[\w./-]*\w)`", text)}
    named |= {word for command in in_blocks() for word in command.words if word.startswith("deploy/")}
    assert {"deploy/base", "deploy/secrets.example.yaml"} <= named
    assert [path for path in sorted(named) if "STAGE" not in path and not (ROOT / path).exists()] == []
