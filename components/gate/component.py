"""The stage gate as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.common.task import image


@dsl.container_component
def gate(
    params: dict,
    metrics: dsl.Input[dsl.Metrics],
    judged: dsl.Output[dsl.Metrics],
    verdict: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Hold the metrics against the rules; ``verdict`` is pass or fail."""
    return dsl.ContainerSpec(
        image=image("gate"),
        command=["python", "-m", "components.common.task", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER],
        args=["components.gate", "--no-enforce", f"--metrics={metrics.path}", f"--out={judged.path}"],
    )
