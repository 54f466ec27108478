"""Servers on this machine that speak as much of the hub's interface as data sets, and uploads of models, need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from ruamel.yaml import YAML

COMMIT = "1" * 40
"""The commit of every data set."""
TOKEN = "hf_unit_test_token"
OWNER = "owner"
"""Whose repositories the bearer of ``TOKEN`` may write to."""


@contextmanager
def serving(sets: Mapping[str, Mapping[str, bytes]]) -> Iterator[SimpleNamespace]:
    """Serve data sets, each with its files, at one commit, which is also 'v1'.

    Yields ``endpoint``; ``answers``: what each path is answered with; ``asked``: the paths that were asked for.
    """
    state = SimpleNamespace(answers={}, asked=[])
    tags: dict[str, str] = {}
    for name, files in sets.items():
        blobs = {file: hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest() for file, body in files.items()}
        tree = [{"type": "file", "path": f, "size": len(b), "oid": blobs[f]} for f, b in files.items()]
        info = json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode()
        state.answers |= {f"/api/datasets/{name}/tree/{COMMIT}": json.dumps(tree).encode()}
        state.answers |= {f"/api/datasets/{name}": info}
        state.answers |= {f"/api/datasets/{name}/revision/{r}": info for r in ("v1", COMMIT)}
        for file, body in files.items():
            path = f"/datasets/{name}/resolve/{COMMIT}/{file}"
            state.answers[path], tags[path] = body, blobs[file]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            state.asked.append(path)
            body = state.answers.get(path)
            self.send_response(404 if body is None else 200)
            if body is None:
                missing = "RevisionNotFound" if any(f"/{s}/revision/" in path for s in sets) else "RepoNotFound"
                self.send_header("X-Error-Code", missing)
            if path in tags:
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{tags[path]}"')
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler) as endpoint:
        state.endpoint = endpoint
        yield state


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Have a server on this machine answer by ``handler``; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Repository:
    """A model repository: its files as they are now, those among them that are kept in large storage, its commits."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)

    def oid(self, path: str) -> str:
        """What the hub says that a file is: of large ones SHA-256, of others git's hash of the blob."""
        body = self.files[path]
        if path in self.large:
            return hashlib.sha256(body).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


class Accepting:
    """What the hub knows of models; ``answer`` is its interface for uploads.

    ``stored``: large files by SHA-256, whether a commit has them or not; ``broken``: the storage answers with errors.
    """

    def __init__(self) -> None:
        self.endpoint, self.broken = "", False
        self.repos: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}

    def create(self, name: str, private: bool) -> Repository:
        return self.repos.setdefault(name, Repository(private))

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        """Return status and JSON of a request's answer."""
        if path.startswith("/storage/"):  # signed addresses, without a token
            return self._store(path.rpartition("/")[2], body)
        if token != TOKEN:
            return 401, {"error": "Invalid username or password."}
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        name = re.fullmatch(r"/(?:api/models/)?([\w.-]+/[\w-][\w.-]*?)(?:\.git/.*|/.*)?", path)
        repo = self.repos.get(name[1]) if name else None
        if name is None or repo is None:
            return 404, {"error": "Repository not found"}
        return self._of_repository(name[1], repo, path, body)

    def _of_repository(self, name: str, repo: Repository, path: str, body: bytes) -> tuple[int, Any]:
        if path.endswith("/preupload/main"):
            return 200, {"files": [self._mode(repo, one) for one in json.loads(body)["files"]]}
        if path.endswith("/info/lfs/objects/batch"):
            return 200, {
                "transfer": "basic",
                "objects": [self._action(name, one) for one in json.loads(body)["objects"]],
            }
        if path.endswith("/verify"):
            one = json.loads(body)
            return (200, {}) if len(self.stored.get(one["oid"], b"")) == one["size"] else (404, {"error": "not there"})
        if path.endswith("/commit/main"):
            return self._commit(name, repo, [json.loads(line) for line in body.splitlines()])
        if "/tree/main" in path:
            return 200, [
                {"type": "file", "path": p, "size": len(b), "oid": repo.oid(p)} for p, b in sorted(repo.files.items())
            ]
        siblings = [{"rfilename": p} for p in sorted(repo.files)]
        sha = repo.commits[-1] if repo.commits else "0" * 40
        return 200, {"id": name, "sha": sha, "private": repo.private, "tags": [], "siblings": siblings}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        name = f"{wanted['organization'] or OWNER}/{wanted['name']}"
        if wanted["organization"] not in (None, OWNER):
            return 403, {"error": f"You don't have the rights to create a model under the namespace {name}"}
        if name in self.repos:
            return 409, {"error": "You already created this model repo", "url": f"{self.endpoint}/{name}"}
        self.create(name, private=wanted.get("visibility") == "private" or wanted.get("private") is True)
        return 200, {"url": f"{self.endpoint}/{name}", "name": name, "id": "1"}

    @staticmethod
    def _validate(card: str) -> tuple[int, Any]:
        """As the hub does: the front matter must be a mapping, and a base model one of the hub's."""
        parts = card.split("---\n")
        about = YAML(typ="safe", pure=True).load(parts[1]) if card.startswith("---\n") and len(parts) > 2 else {}
        base = about.get("base_model") if isinstance(about, dict) else 1
        if base is not None and not (isinstance(base, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", base)):
            message = f'"base_model" with value "{base}" is not valid. Use a model id from https://hf.co/models.'
            return 400, {"errors": [{"message": message}], "warnings": []}
        return 200, {"errors": [], "warnings": []}

    @staticmethod
    def _mode(repo: Repository, one: dict[str, Any]) -> dict[str, Any]:
        """As the hub decides: large is what .gitattributes names, and what is larger than 10 MB."""
        large = one["path"].endswith(".safetensors") or one["size"] > 10 << 20
        oid = repo.oid(one["path"]) if one["path"] in repo.files else None
        return {
            "path": one["path"],
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": False,
            "oid": oid,
        }

    def _action(self, name: str, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.stored:
            return one
        upload = {"href": f"{self.endpoint}/storage/{one['oid']}"}
        return one | {"actions": {"upload": upload, "verify": {"href": f"{self.endpoint}/{name}/verify"}}}

    def _store(self, oid: str, body: bytes) -> tuple[int, Any]:
        if self.broken:
            return 501, {"error": "A header you provided implies functionality that is not implemented"}
        if hashlib.sha256(body).hexdigest() != oid:
            return 400, {"error": "XAmzContentSHA256Mismatch"}
        self.stored[oid] = body
        return 200, {}

    def _commit(self, name: str, repo: Repository, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        """All of it or nothing."""
        files, large = dict(repo.files), set(repo.large)
        if lines[0]["key"] != "header" or not lines[0]["value"]["summary"]:
            return 400, {"error": "the first line must be a header with a summary"}
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            if kind == "deletedFile":
                if files.pop(value["path"], None) is None:
                    return 404, {"error": "A file with this name doesn't exist"}
                large.discard(value["path"])
            elif kind == "lfsFile":
                if len(self.stored.get(value["oid"], b"")) != value["size"]:
                    return 400, {"error": f"{value['path']}: the LFS object {value['oid']} was not uploaded"}
                files[value["path"]] = self.stored[value["oid"]]
                large.add(value["path"])
            elif kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                return 400, {"error": f"'{kind}' is no operation"}
        repo.files, repo.large = files, large
        repo.commits.append(hashlib.sha1(f"{len(repo.commits)}{lines[0]}".encode()).hexdigest())
        commit = repo.commits[-1]
        return 200, {"success": True, "commitOid": commit, "commitUrl": f"{self.endpoint}/{name}/commit/{commit}"}


@contextmanager
def accepting() -> Iterator[Accepting]:
    """Take uploads of models, as the hub does, from the bearer of ``TOKEN``, who may write to what is ``OWNER``'s."""
    state = Accepting()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, value = state.answer(self.command, self.path.partition("?")[0], token, self._body())
            body = json.dumps(value).encode()
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler) as endpoint:
        state.endpoint = endpoint
        yield state
