"""The stage evaluate as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import CACHE, COMMAND, image


@dsl.container_component
def evaluate(
    params: dict,
    prepared: dsl.Input[dsl.Dataset],
    vanilla: dsl.Input[dsl.Model],
    irrelevant: dsl.Input[dsl.Dataset],
    adapter: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    predictions: dsl.Output[dsl.Dataset],
    attacks: dsl.Output[dsl.Dataset],
) -> dsl.ContainerSpec:
    """Question the vanilla and the unlearned model; a task that was killed goes on when it is retried."""
    return dsl.ContainerSpec(
        image=image("evaluate"),
        command=COMMAND,
        args=[
            "components.evaluate",
            f"--prepared={prepared.path}",
            f"--vanilla={vanilla.path}",
            f"--irrelevant={irrelevant.path}",
            f"--adapter={adapter.path}",
            f"--metrics={metrics.path}",
            f"--predictions={predictions.path}",
            f"--attacks={attacks.path}",
            f"--work={CACHE}/evaluate/{dsl.PIPELINE_JOB_ID_PLACEHOLDER}",
        ],
    )
