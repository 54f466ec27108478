"""kfp.local with what it lacks to run this pipeline: conditions on outputs that have a name of their own."""

import json
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
    values = {"{{$}}": json.dumps(task)}
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
