"""moto's S3 over HTTP, and a server before it that misbehaves on request."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import boto3
import httpx2
import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "unit-test-id", "AWS_SECRET_ACCESS_KEY": "unit-test-secret"}


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        log.close()


@pytest.fixture
def aws(moto_endpoint, monkeypatch, tmp_path):
    """The environment of a user with credentials and an endpoint; nothing of this machine's own settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3(aws):
    return boto3.client("s3")


@pytest.fixture
def bucket(s3, request) -> str:
    name = f"b-{abs(hash(request.node.nodeid))}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def between(moto_endpoint, aws, monkeypatch):
    """A server between boto3 and moto. ``gets`` lists (path, range) of the objects that were asked for.

    ``misbehave`` is called with each handler before it passes a request on, and returns True where it answered itself;
    ``change`` is called with the path and the body of each answer and returns the body to send.
    """
    state = SimpleNamespace(gets=[], requests=0, misbehave=lambda handler: False, change=lambda path, body: body)
    server = _server(moto_endpoint, state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", state.endpoint)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def _server(upstream: str, state: SimpleNamespace) -> ThreadingHTTPServer:
    client = httpx2.Client(base_url=upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.requests += 1
            path = self.path.partition("?")[0]
            if self.command == "GET" and path.count("/") > 1:
                state.gets.append((path, self.headers.get("Range")))
            if state.misbehave(self):
                return
            kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
            answer = client.request(self.command, self.path, headers=kept | {"Accept-Encoding": "identity"})
            body = state.change(path, answer.content)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            length = answer.headers.get("content-length") if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def answer(handler, status: int, body: str) -> bool:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/xml")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body.encode())
    return True


def refuse(handler, status: int, code: str) -> bool:
    quoted = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    return answer(handler, status, f"<Error><Code>{code}</Code><Message>key {quoted}</Message></Error>")


def unavailable(handler) -> bool:
    return refuse(handler, 503, "SlowDown")
