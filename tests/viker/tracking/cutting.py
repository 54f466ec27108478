"""A forwarder in front of an MLflow server that breaks the connection at the first try of every request."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.error import HTTPError

from tests.hub import listening


@contextmanager
def cutting(upstream: str, arrives: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the forwarder's address, and the requests whose connection it broke.

    ``arrives``: the server gets the request before the connection breaks, so that its answer is lost; else nothing.
    """
    broken: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = urllib.request.Request(upstream + self.path, body or None, method=self.command)
            request.add_header("Content-Type", self.headers.get("Content-Type") or "application/json")
            named = f"{self.command} {self.path} {body.decode(errors='replace')}"
            first = named not in broken
            if first:
                broken.append(named)
            if first and not arrives:
                return
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    status, content = answer.status, answer.read()
            except HTTPError as error:
                status, content = error.code, error.read()
            if first:
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_PATCH = do_PUT = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler) as address:
        yield address, broken
