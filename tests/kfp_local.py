"""kfp.local with what it lacks to run this pipeline: conditions on outputs that have a name of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kfp.local.orchestrator.enhanced_dag_orchestrator import ConditionEvaluator

from components.contract.kfp_task import to_struct


def filled(
    container: dict[str, Any], given: dict[str, Path], made: dict[str, Path], params: dict[str, Any]
) -> list[str]:
    """Return a compiled container's command with what Kubeflow's launcher would put in.

    Args:
        container: of the compiled pipeline.
        given: the places of the artifacts that it reads, by name.
        made: the places of those that it writes; beside the first goes executor_output.json.
        params: the task's input 'params'.
    """
    output = next(iter(made.values())).with_name("executor_output.json")
    artifacts = {name: {"artifacts": [{"name": name, "uri": str(path)}]} for name, path in made.items()}
    outputs = {"artifacts": artifacts, "outputFile": str(output)}
    task = {"inputs": {"parameterValues": {"params": to_struct(params)}}, "outputs": outputs}
    values = {"{{$}}": json.dumps(task), "{{$.pipeline_job_uuid}}": "run-1"}
    for kind, places in (("inputs", given), ("outputs", made)):
        values |= {f"{{{{$.{kind}.artifacts['{name}'].path}}}}": str(path) for name, path in places.items()}
    command = []
    for part in (*container["command"], *container["args"]):
        for placeholder, value in values.items():
            part = part.replace(placeholder, value)
        command.append(part)
    return command


@pytest.fixture
def named_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``dsl.If`` find the output of a task of the same level by its name, as Kubeflow does.

    kfp.local 2.17.0 looks only for one that is called Output, which a container component can't have, and takes the
    condition for false without an error.
    """
    before = ConditionEvaluator._resolve_pipeline_channel

    def resolve(channel: str, store: Any) -> Any:
        for task, outputs in store._task_output_data.items():
            for name, value in outputs.items():
                if channel == f"pipelinechannel--{task}-{name}":
                    return value
        return before(channel, store)

    monkeypatch.setattr(ConditionEvaluator, "_resolve_pipeline_channel", staticmethod(resolve))


@pytest.fixture
def on_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have DockerRunner start a container's command here instead; return the folder that stands for the volume."""
    from kfp.local import docker_task_handler, status

    cache = tmp_path / "cache"
    cache.mkdir()

    def run(self: Any) -> status.Status:
        command = [part.replace("=/cache/", f"={cache}/") for part in self.full_command]
        environment = os.environ | self.env_vars | {"VIKER_TRACKING_DIR": str(cache / "tracking")}
        code = subprocess.run([sys.executable, *command[1:]], env=environment).returncode
        return status.Status.SUCCESS if code == 0 else status.Status.FAILURE

    monkeypatch.setattr(docker_task_handler.DockerTaskHandler, "run", run)
    return cache
