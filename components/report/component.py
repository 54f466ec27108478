"""The stage report as a component of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import COMMAND, image


@dsl.container_component
def report(
    params: dict,
    pending: dict,
    prepared: dsl.Input[dsl.Dataset],
    unlearning: dsl.Input[dsl.Artifact],
    predictions: dsl.Input[dsl.Dataset],
    metrics: dsl.Input[dsl.Metrics],
    judged: dsl.Input[dsl.Metrics],
    registered: dsl.Input[dsl.Artifact],
    evidence: dsl.Output[dsl.HTML],
    bundle: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Write the evidence report and the bundle that anyone can check."""
    return dsl.ContainerSpec(
        image=image("report"),
        command=COMMAND,
        args=[
            "components.report",
            f"--pending={pending}",
            f"--prepared={prepared.path}",
            f"--unlearning={unlearning.path}",
            f"--predictions={predictions.path}",
            f"--metrics={metrics.path}",
            f"--gate={judged.path}",
            f"--register={registered.path}",
            f"--out={evidence.path}",
            f"--bundle={bundle.path}",
        ],
    )
