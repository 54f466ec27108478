"""hf:// against a server on this machine that speaks as much of the hub's interface as a data set needs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.hub import COMMIT, TOKEN, serving

ROOT = Path(__file__).parents[3]
FILES = {"forget_10/train-00000-of-00001.parquet": b"rows of the forgotten", "README.md": b"# A data set"}


@pytest.fixture
def hub() -> Iterator[SimpleNamespace]:
    with serving({"owner/set": FILES}) as state:
        yield state


def fetch(endpoint: str, cache: Path, uri: str, revision: str | None, **environment: str) -> tuple[str, str]:
    """Fetch in a process of its own, as the hub's library reads its environment once; return (path, error)."""
    code = (
        "import json, sys; from pathlib import Path; from viker.core.errors import UserError\n"
        "from viker.storage import fetch\n"
        "uri, revision, cache = json.loads(sys.argv[1])\n"
        "try: print(fetch(uri, revision, Path(cache)))\n"
        "except UserError as error: sys.exit(f'error: {error}')"
    )
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache.parent / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
    }
    command = [sys.executable, "-c", code, json.dumps([uri, revision, str(cache)])]
    every = os.environ | settings | environment
    result = subprocess.run(command, cwd=ROOT, env=every, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr, result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return result.stdout.strip(), result.stderr.partition("error: ")[2].strip()


def test_a_data_set_arrives_as_it_is_at_that_revision_and_is_not_asked_for_again(hub, tmp_path):
    path, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v1")
    assert error == ""
    folder = Path(path)
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == FILES
    hub.asked.clear()
    assert fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v1", HF_HUB_OFFLINE="1") == (path, "")
    assert hub.asked == []


def test_a_data_set_without_a_revision_is_refused(hub, tmp_path):
    _, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", None)
    assert "prepare.revision" in error and "viker data import hf://owner/set" in error


@pytest.mark.parametrize(("uri", "said"), [("hf://owner/other", "no such data set"), ("hf://set", "hf://OWNER/NAME")])
def test_what_is_not_there_is_named(hub, tmp_path, uri, said):
    _, error = fetch(hub.endpoint, tmp_path / "cache", uri, "v1")
    assert uri in error and said in error


def test_a_revision_that_is_not_there_is_named(hub, tmp_path):
    _, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v9")
    assert "no revision 'v9'" in error


def test_a_wrong_checksum_is_caught_and_fetched_anew(hub, tmp_path):
    path = f"/datasets/owner/set/resolve/{COMMIT}/README.md"
    hub.answers[path] = b"# A data sex"
    _, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v1")
    assert "wrong checksum: README.md" in error
    hub.answers[path] = FILES["README.md"]
    refetched, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v1")
    assert error == "" and (Path(refetched) / "README.md").read_bytes() == FILES["README.md"]


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_the_error_says_how_to_go_on(tmp_path, environment):
    _, error = fetch("http://127.0.0.1:9", tmp_path / "cache", "hf://owner/set", "v1", **environment)
    assert "can't be reached" in error
    assert "hf download owner/set --repo-type dataset --revision v1" in error and "viker data import" in error
    assert not (tmp_path / "cache").exists()
