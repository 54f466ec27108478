"""hf:// against a server on this machine that speaks as much of the hub's interface as a data set needs."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3]
COMMIT = "1" * 40
FILES = {"forget_10/train-00000-of-00001.parquet": b"rows of the forgotten", "README.md": b"# A data set"}
TOKEN = "hf_unit_test_token"


@pytest.fixture
def hub() -> Iterator[SimpleNamespace]:
    """``answers``: what each path is answered with, (status, body); ``asked``: the paths that were asked for."""
    blobs = {name: hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest() for name, body in FILES.items()}
    tree = [{"type": "file", "path": n, "size": len(b), "oid": blobs[n]} for n, b in FILES.items()]
    info = json.dumps({"id": "owner/set", "sha": COMMIT, "siblings": []}).encode()
    answers = {f"/api/datasets/owner/set/tree/{COMMIT}": json.dumps(tree).encode(), "/api/datasets/owner/set": info}
    answers |= {f"/api/datasets/owner/set/revision/{r}": info for r in ("v1", COMMIT)}
    answers |= {f"/datasets/owner/set/resolve/{COMMIT}/{name}": body for name, body in FILES.items()}
    state = SimpleNamespace(answers=answers, asked=[])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            state.asked.append(path)
            body = state.answers.get(path)
            name = path.partition(f"/resolve/{COMMIT}/")[2]
            self.send_response(404 if body is None else 200)
            if body is None:
                missing = "RevisionNotFound" if "/owner/set/revision/" in path else "RepoNotFound"
                self.send_header("X-Error-Code", missing)
            if name in blobs:
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{blobs[name]}"')
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(endpoint: str, cache: Path, uri: str, revision: str | None, **environment: str) -> tuple[str, str]:
    """Fetch in a process of its own, as the hub's library reads its environment once; return (path, error)."""
    code = (
        "import json, sys; from pathlib import Path; from components.common.errors import UserError\n"
        "from components.common.storage import fetch\n"
        "uri, revision, cache = json.loads(sys.argv[1])\n"
        "try: print(fetch(uri, revision, Path(cache)))\n"
        "except UserError as error: sys.exit(f'error: {error}')"
    )
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache.parent / "home"), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, json.dumps([uri, revision, str(cache)])]
    every = os.environ | own | environment
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
    found, error = fetch(hub.endpoint, tmp_path / "cache", "hf://owner/set", "v1")
    assert error == "" and (Path(found) / "README.md").read_bytes() == FILES["README.md"]


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_the_error_says_how_to_go_on(tmp_path, environment):
    _, error = fetch("http://127.0.0.1:9", tmp_path / "cache", "hf://owner/set", "v1", **environment)
    assert "can't be reached" in error
    assert "hf download owner/set --repo-type dataset --revision v1" in error and "viker data import" in error
    assert not (tmp_path / "cache").exists()
