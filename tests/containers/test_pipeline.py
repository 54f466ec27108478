"""The whole pipeline by kfp.local in the images: promoted where the gate passes, and not where it fails.

A local run of Kubeflow's SDK reports success easily: what counts here is what was written, and the registry.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.types import Mount
from kfp import local
from mlflow import MlflowClient

from benchmarks.small_project import POLICY
from components.contract.kfp_task import to_struct
from pipelines.kubeflow.pipeline import pipeline
from tests.containers.conftest import ROOT, shared_folder, small_params
from tests.kfp_local import named_conditions  # noqa: F401 - a fixture
from viker.core.files import sha256_path

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("images", "named_conditions")]

REQUEST = "id: r1\ndate: 2026-11-01\npeople: ['001', '002']\nreason: erasure\ndeadline: 2026-12-01\n"
PASSES = {
    "policy": "/cache/policy.yaml",
    "rules": ["unlearned.forget.samples >= 5", "unlearned.fluency.gibberish_rate <= 1.0"],
}


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A server of MLflow that takes artifacts itself: the images reach no file of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    command += [f"--backend-store-uri=sqlite:///{tmp_path}/mlflow.db", f"--artifacts-destination={tmp_path}/artifacts"]
    with (tmp_path / "mlflow.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "mlflow.log").read_text()[-2000:]
                    time.sleep(0.5)
            else:
                pytest.fail("MLflow did not answer in two minutes")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def outputs(root: Path) -> Path:
    """The folder of the newest run."""
    return max(
        (path for path in root.iterdir() if not path.name.startswith(".")), key=lambda path: path.stat().st_mtime
    )


def test_the_pipeline_in_its_images(
    mlflow_server: str, small_description: Path, s3: Any, bucket: str, tmp_path: Path
) -> None:
    s3.put_object(Bucket=bucket, Key="requests/r1.yaml", Body=REQUEST.encode())
    root, cache = shared_folder(tmp_path / "root"), shared_folder(tmp_path / "cache")
    shutil.copy(small_description, cache / "people.yaml")
    shutil.copy(ROOT / POLICY, cache / "policy.yaml")
    credentials = {name: os.environ[name] for name in os.environ if name.startswith("AWS_") and "BUNDLE" not in name}
    runner = local.DockerRunner(
        network_mode="host",
        read_only=True,
        tmpfs={"/tmp": ""},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mounts=[Mount("/cache", str(cache), type="bind")],
        environment=credentials | {"MLFLOW_TRACKING_URI": mlflow_server, "VIKER_TRACKING_DIR": "/cache/tracking"},
    )
    # without its cache, which goes by the paths of inputs: what the backend's does is tested in tests/kubeflow
    local.init(runner, pipeline_root=str(root))
    registry = MlflowClient(mlflow_server)

    def run(gate: dict[str, Any]) -> set[str]:
        params = small_params({"gate": gate})
        params.pop("deploy", None)
        pipeline(lambda task: task, shares={})(
            params=to_struct(params),
            source="/cache/people.yaml",
            requests=f"s3://{bucket}/requests",
            only_requests=True,
        )
        return {path.name for path in outputs(root).iterdir()}

    def request() -> str:
        return str(s3.get_object(Bucket=bucket, Key="requests/r1.yaml")["Body"].read().decode())

    # The demo's own policy asks for more than this model has. Registered and reported, neither promoted nor closed.
    ran = run({})
    first = outputs(root)
    assert {"prepare", "finetune", "sample", "unlearn", "evaluate", "gate", "register", "report", "finish"} <= ran
    assert not {"promote", "close"} & ran
    assert json.loads((first / "gate" / "judged").read_text())["verdict"] == "fail"
    manifest = json.loads((first / "prepare" / "prepared" / "manifest.json").read_text())
    assert manifest["requests"] == ["r1"]
    assert manifest["counts"]["forget"]["people"] == 2
    measured = json.loads((first / "evaluate" / "metrics").read_text())
    assert measured["inputs"]["adapter"] == sha256_path(first / "unlearn" / "adapter")
    assert measured["unlearned"]["attacks"]
    page = (first / "report" / "evidence").read_text()
    assert "the person asks for erasure" in page and "2026-12-01" in page
    assert set(registry.get_registered_model("viker-adapter").aliases) == {"candidate"}
    assert request() == REQUEST
    assert {path.stat().st_uid for path in first.rglob("*") if path.is_file()} == {10001}

    # Rules that it passes: the same adapter is promoted and the request is done.
    ran = run(PASSES)
    assert {"gate", "register", "promote", "close", "report", "finish"} <= ran
    second = outputs(root)
    assert json.loads((second / "gate" / "judged").read_text())["verdict"] == "pass"
    weights = "unlearn/adapter/adapter_model.safetensors"  # beside it, the vanilla model's folder is named
    assert (second / weights).read_bytes() == (first / weights).read_bytes()
    aliases = registry.get_registered_model("viker-adapter").aliases
    assert set(aliases) == {"candidate", "champion"}
    champion = registry.get_model_version("viker-adapter", aliases["champion"])
    assert champion.tags["adapter_sha256"] == sha256_path(second / "unlearn" / "adapter")
    assert f"version: {aliases['champion']}" in request()

    # Nothing is pending any more: green after the first task.
    assert run(PASSES) == {"resolve", "finish"}
