"""A server on this machine that speaks as much of the hub's interface as data sets need."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

COMMIT = "1" * 40
"""The commit of every data set."""
TOKEN = "hf_unit_test_token"


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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
