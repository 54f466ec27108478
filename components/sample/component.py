"""The stage sample as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import CACHE, COMMAND, image


@dsl.container_component
def sample(
    params: dict, state: str, prepared: dsl.Input[dsl.Dataset], irrelevant: dsl.Output[dsl.Dataset]
) -> dsl.ContainerSpec:
    """Choose or draw the irrelevant images.

    ``state`` stands for what the source held: the stage doesn't read it, Kubeflow's cache does.
    """
    return dsl.ContainerSpec(
        image=image("sample"),
        command=COMMAND,
        args=[
            "components.sample",
            f"--prepared={prepared.path}",
            f"--out={irrelevant.path}",
            f"--cache={CACHE}/sources",
        ],
    )
