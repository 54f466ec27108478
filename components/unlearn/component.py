"""The stage unlearn as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.common.task import CACHE, COMMAND, image


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
