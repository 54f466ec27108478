"""The stage finetune as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import COMMAND, image


@dsl.container_component
def finetune(params: dict, prepared: dsl.Input[dsl.Dataset], vanilla: dsl.Output[dsl.Model]) -> dsl.ContainerSpec:
    """Make the vanilla model, or point to the deployed one."""
    return dsl.ContainerSpec(
        image=image("finetune"),
        command=COMMAND,
        args=["components.finetune", f"--prepared={prepared.path}", f"--out={vanilla.path}"],
    )
