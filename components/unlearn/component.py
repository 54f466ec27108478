"""The stage unlearn as a component of Kubeflow Pipelines."""

from collections.abc import Sequence
from typing import Any

from kfp import dsl

from components.kfp_task import CACHE, COMMAND, image


def launched(args: Sequence[Any], processes: int) -> list[Any]:
    """Return a task's arguments so that accelerate starts its program in several processes, one for each GPU."""
    launch = ("--multi_gpu", "--num_machines=1", f"--num_processes={processes}", "--mixed_precision=no")
    return ["accelerate.commands.launch", *launch, "--dynamo_backend=no", "-m", *args]


@dsl.container_component
def unlearn(
    params: dict,
    prepared: dsl.Input[dsl.Dataset],
    vanilla: dsl.Input[dsl.Model],
    irrelevant: dsl.Input[dsl.Dataset],
    adapter: dsl.Output[dsl.Model],
    unlearning: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Train the adapter that forgets; a task that was killed goes on from its last checkpoint when it is retried."""
    return dsl.ContainerSpec(
        image=image("unlearn"),
        command=COMMAND,
        args=[
            "components.unlearn",
            f"--prepared={prepared.path}",
            f"--vanilla={vanilla.path}",
            f"--irrelevant={irrelevant.path}",
            f"--out={adapter.path}",
            f"--records={unlearning.path}",
            f"--state={CACHE}/unlearn/{dsl.PIPELINE_JOB_ID_PLACEHOLDER}",
        ],
    )
