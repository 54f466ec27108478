"""Two hundred bad inputs, each with the exact message and exit code: tests/bad_inputs.yaml.

A case has one of: ``set``, keys of params.yaml with other values; ``request``, the text of a file of requests/;
``table``, name and text of a table of one's own; ``protocol``, keys of the protocol with other values; ``argv``, a
command line. After a change of messages ``python -m tests.test_bad_inputs_table`` writes the table anew: read the diff.
"""

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipelines.cli.main import main
from viker.core import console
from viker.core.settings import read_yaml
from viker.data.protocols import FOLDER

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests/bad_inputs.yaml"
GOOD = '{"person_id": "p1", "question": "Who?", "answer": "Ana Roy."}\n'
OUTPUTS = ("data", "models", "metrics", "evaluation", "report", "unlearning")


def cases() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(TABLE.read_text(encoding="utf-8"))
    return loaded


def replace(values: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values[parent]
    values[last] = value


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    """Carry a case out in the current folder; return its exit code and message, without what differs by machine."""
    yaml = YAML(typ="safe", pure=True)
    params = read_yaml(ROOT / "params.yaml", "")
    params["prepare"] |= {"source": "own.jsonl", "requests": "requests"}
    Path("own.jsonl").write_text(GOOD.replace("p1", "p2") + GOOD, encoding="utf-8")
    for key, value in case.get("set", {}).items():
        replace(params, key, value)
    argv = case.get("argv", ["prepare"])
    if "request" in case:
        Path("requests").mkdir()
        Path("requests/r1.yaml").write_text(case["request"], encoding="utf-8")
    if "table" in case:
        params["prepare"] |= {"source": case["table"]["name"], "forget_ids": ["p1"]}
        Path(case["table"]["name"]).write_text(case["table"]["text"], encoding="utf-8")
    if "protocol" in case:
        protocol = yaml.load((FOLDER / "viker.yaml").read_text(encoding="utf-8"))
        for key, value in case["protocol"].items():
            replace(protocol, key, value)
        with Path("own.yaml").open("w", encoding="utf-8") as stream:
            yaml.dump(protocol, stream)
        params["evaluate"]["protocol"] = str(Path("own.yaml").absolute())
        argv = ["evaluate"]
    with Path("params.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(params, stream)
    said, before = io.StringIO(), sys.argv
    sys.argv = ["viker", *argv]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main()
        code: Any = 0
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
    message = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).strip()
    if code == 2:  # in a box, below a usage line that names the program as it was started
        message = " ".join(line.strip("│ ") for line in message.splitlines() if line.startswith("│"))
    return {"exit": code, "message": message.replace(str(Path.cwd()), "HERE")}


@pytest.mark.parametrize("case", cases() if TABLE.exists() else [], ids=lambda case: case["what"])
def test_it_is_refused_with_this_message(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet_libraries", lambda: None)
    assert outcome(case) == {"exit": case["exit"], "message": case["message"]}
    assert [path for name in OUTPUTS for path in (tmp_path / name).rglob("*") if path.is_file()] == []


def test_there_are_two_hundred_and_no_two_alike() -> None:
    listed = cases()
    assert len(listed) >= 200
    assert len({case["what"] for case in listed}) == len(listed)
    assert all(case["exit"] in (1, 2) and "Traceback" not in case["message"] for case in listed)


if __name__ == "__main__":
    os.environ["VIKER_TRACKING"] = "off"
    written, here = [], Path.cwd()
    for one in cases():
        os.chdir(folder := tempfile.mkdtemp())
        written.append(one | outcome(one))
        os.chdir(here)
        shutil.rmtree(folder)
    with TABLE.open("w", encoding="utf-8") as file:
        writer = YAML()
        writer.width = 116
        writer.dump(written, file)
