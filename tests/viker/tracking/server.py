"""A real MLflow server on this machine: SQLite for the runs, moto's S3 for the files."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3

from tests.s3 import CREDENTIALS

BUCKET = "mlflow-artifacts"


class Server:
    """``mlflow server``, to be started, killed and started again on the same port."""

    def __init__(self, folder: Path, s3: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_"))}
        self.environment = inherited | CREDENTIALS | {"AWS_ENDPOINT_URL": s3, "AWS_DEFAULT_REGION": "us-east-1"}
        self.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes that no test needs
        names = ("aws_access_key_id", "aws_secret_access_key")
        self.s3 = boto3.client(
            "s3", endpoint_url=s3, region_name="us-east-1", **dict(zip(names, CREDENTIALS.values(), strict=True))
        )
        self.s3.create_bucket(Bucket=BUCKET)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        command += ["--artifacts-destination", f"s3://{BUCKET}"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the server doesn't start: {(self.folder / 'server.log').read_text()[-3000:]}")

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def files(self) -> dict[str, bytes]:
        """Return the content of every file in the artifact store."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
