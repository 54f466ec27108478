"""A proxy in front of MLflow and S3 that refuses, answers 500, cuts an answer short, or hangs."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from benchmarks.torture.result import Case
from benchmarks.torture.signals import last_line
from benchmarks.torture.tree import Reference, Tree

FAULTS = ("refuse", "500", "cut after 100 bytes", "cut after 3000 bytes", "hang 30 s")
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "torture-id",
    "AWS_SECRET_ACCESS_KEY": "torture-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Proxy:
    """A TCP proxy on this machine: after ``let_through`` connections the next ``broken`` ones suffer ``fault``."""

    def __init__(self, port: int) -> None:
        """Listen before the server on ``port``."""
        self.target, self.fault, self.let_through, self.broken = port, "", 0, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def misbehave(self, fault: str, after: int, times: int) -> None:
        """Break ``times`` connections with ``fault`` after ``after`` healthy ones."""
        self.fault, self.let_through, self.broken = fault, after, times

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                fault = ""
                if self.let_through > 0:
                    self.let_through -= 1
                elif self.broken > 0:
                    self.broken -= 1
                    fault = self.fault
                threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: str) -> None:
        with closing(client), suppress(OSError):
            if fault == "refuse":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
                return
            if fault == "500":
                client.recv(65536)
                client.sendall(_ERROR)
                return
            if fault.startswith("hang"):
                client.recv(65536)
                time.sleep(30)
                return
            most = int(fault.split()[2]) if fault.startswith("cut") else None
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                threading.Thread(target=_pump, args=(client, server, None), daemon=True).start()
                _pump(server, client, most)


def _pump(source: socket.socket, sink: socket.socket, most: int | None) -> None:
    sent = 0
    with suppress(OSError):
        while data := source.recv(65536):
            part = data if most is None else data[: most - sent]
            sink.sendall(part)
            sent += len(part)
            if most is not None and sent >= most:
                break
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def mlflow_faults(reference: Reference) -> Iterator[Case]:
    """Register while the way to MLflow breaks early, in the middle, and for good; then again over a healthy one."""
    for fault in FAULTS:
        for after in (0, 6):
            for times in (1, 10_000):
                yield _register(reference, fault, after, times)


def _register(reference: Reference, fault: str, after: int, times: int) -> Case:
    what = f"register, MLflow: {fault}, {'once' if times == 1 else 'for good'} after {after} connections"
    with reference.copy("network", "register") as tree, _mlflow(tree.folder / "server") as port:
        proxy = Proxy(port)
        proxy.misbehave(fault, after, times)
        tree.environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{proxy.port}", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
        code, out = tree.run(tree.command("register"))
        faults = [f"exit code {code}: {last_line(out)}"] if code not in (0, 1) else []
        faults += [f"traceback: {last_line(out)}"] if "Traceback" in out else []
        proxy.misbehave("", 0, 0)
        code, out = tree.run(tree.command("register"))
        faults += [f"over a healthy way, exit code {code}: {last_line(out)}"] if code else []
        faults += _versions(f"http://127.0.0.1:{port}")
        proxy.close()
    return Case(what, faults)


def _versions(uri: str) -> list[str]:
    from mlflow import MlflowClient

    versions = MlflowClient(uri).search_model_versions("name='viker-adapter'")
    return [] if len(versions) == 1 else [f"{len(versions)} versions in the registry"]


def s3_faults(reference: Reference) -> Iterator[Case]:
    """Prepare from a bucket while the way to it breaks; then again over a healthy one: the same prepared data."""
    with _moto(reference.tree.folder.with_name("moto")) as port:
        proxy, source = Proxy(port), reference.tree.folder / "components/prepare/embedded.yaml"
        tables = _benchmark(reference, source)
        _upload(port, tables)
        for fault in FAULTS:
            for times in (1, 10_000):
                yield _prepare(reference, proxy, tables, fault, times)
        proxy.close()


def _prepare(reference: Reference, proxy: Proxy, tables: Path, fault: str, times: int) -> Case:
    what = f"prepare, S3: {fault}, {'once' if times == 1 else 'for good'}"
    with reference.copy("s3", "prepare") as tree:
        params = tree.folder / "params.yaml"
        text = params.read_text(encoding="utf-8")
        local, remote = (
            text.replace("source: components/prepare/embedded.yaml", f"source: {where}")
            for where in (tables, "s3://torture/people")
        )
        tree.environment = CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        params.write_text(local, encoding="utf-8")
        code, out = tree.run(tree.command("prepare"))
        expected = _pictures_and_questions(tree)
        tree.clear("prepare")
        params.write_text(remote, encoding="utf-8")
        proxy.misbehave(fault, 2, times)
        code, out = tree.run(tree.command("prepare"))
        faults = [f"exit code {code}: {last_line(out)}"] if code not in (0, 1) else []
        faults += [f"traceback: {last_line(out)}"] if "Traceback" in out else []
        faults += ["torn data"] if _pictures_and_questions(tree) not in ({}, expected) else []
        proxy.misbehave("", 0, 0)
        code, out = tree.run(tree.command("prepare"))
        faults += [f"over a healthy way, exit code {code}: {last_line(out)}"] if code else []
        faults += [] if _pictures_and_questions(tree) == expected else ["other data than from the folder"]
    return Case(what, faults)


def _pictures_and_questions(tree: Tree) -> dict[str, str]:
    from viker.core.files import sha256_path

    return {path.name: sha256_path(path) for path in sorted((tree.folder / "data/prepared").glob("*.parquet"))}


def _benchmark(reference: Reference, description: Path) -> Path:
    from viker.data.synthetic.generate import generate

    folder = reference.tree.folder.with_name("benchmark")
    generate(description, folder, seed=7, forget_share=0.1)
    return folder


def _upload(port: int, folder: Path) -> None:
    import boto3

    keys = {"aws_access_key_id": "torture-id", "aws_secret_access_key": "torture-secret", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
    s3.create_bucket(Bucket="torture")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        s3.upload_file(str(path), "torture", f"people/{path.relative_to(folder)}")


@contextmanager
def _mlflow(folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True)
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with _server(command, port, folder):
        yield port


@contextmanager
def _moto(folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True)
    port = _free_port()
    with _server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, folder):
        yield port


@contextmanager
def _server(command: list[str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            for _ in range(600):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
