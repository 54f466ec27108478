"""The stage gate as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import COMMAND, image


@dsl.container_component
def gate(
    params: dict,
    prepared: dsl.Input[dsl.Dataset],
    vanilla: dsl.Input[dsl.Model],
    adapter: dsl.Input[dsl.Model],
    predictions: dsl.Input[dsl.Dataset],
    attacks: dsl.Input[dsl.Dataset],
    metrics: dsl.Input[dsl.Metrics],
    judged: dsl.Output[dsl.Metrics],
    verdict: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Hold the metrics against files, policy and rules; ``verdict`` is pass or fail."""
    return dsl.ContainerSpec(
        image=image("gate"),
        command=COMMAND,
        args=[
            "components.gate",
            "--no-enforce",
            f"--prepared={prepared.path}",
            f"--vanilla={vanilla.path}",
            f"--adapter={adapter.path}",
            f"--predictions={predictions.path}",
            f"--attacks={attacks.path}",
            f"--metrics={metrics.path}",
            f"--out={judged.path}",
        ],
    )
