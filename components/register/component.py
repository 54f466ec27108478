"""The stage register, and what follows it, as components of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import CACHE, COMMAND, image


@dsl.container_component
def register(
    params: dict,
    adapter: dsl.Input[dsl.Model],
    vanilla: dsl.Input[dsl.Model],
    prepared: dsl.Input[dsl.Dataset],
    unlearning: dsl.Input[dsl.Artifact],
    metrics: dsl.Input[dsl.Metrics],
    judged: dsl.Input[dsl.Metrics],
    registered: dsl.Output[dsl.Artifact],
    version: dsl.OutputPath(int),
) -> dsl.ContainerSpec:
    """Record the run in MLflow and register the adapter with its verdict."""
    return dsl.ContainerSpec(
        image=image("register"),
        command=COMMAND,
        args=[
            "components.register",
            f"--adapter={adapter.path}",
            f"--model={vanilla.path}",
            f"--prepared={prepared.path}",
            f"--unlearning={unlearning.path}",
            f"--metrics={metrics.path}",
            f"--gate={judged.path}",
            f"--out={registered.path}",
            "--no-promote",
        ],
    )


@dsl.container_component
def promote(
    params: dict,
    registered: dsl.Input[dsl.Artifact],
    promoted: dsl.Output[dsl.Artifact],
    version: dsl.OutputPath(int),
) -> dsl.ContainerSpec:
    """Make the registered version the champion."""
    return dsl.ContainerSpec(
        image=image("register"),
        command=COMMAND,
        args=["components.register.promote", f"--registered={registered.path}", f"--out={promoted.path}"],
    )


@dsl.container_component
def close(
    requests: str,
    version: int,
    prepared: dsl.Input[dsl.Dataset],
    closed: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Mark the requests that the promoted version carries out as done."""
    return dsl.ContainerSpec(
        image=image("register"),
        command=COMMAND,
        args=[
            "components.register.close",
            f"--requests={requests}",
            f"--version={version}",
            f"--prepared={prepared.path}",
            f"--out={closed.path}",
            f"--cache={CACHE}/sources",
        ],
    )


@dsl.container_component
def finish(
    status: dsl.PipelineTaskFinalStatus,
    run: str,
    page: dsl.Output[dsl.Markdown],
    ended: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Write how the run ended, and end what it left open in MLflow."""
    return dsl.ContainerSpec(
        image=image("register"),
        command=COMMAND,
        args=[
            "components.register.finish",
            f"--status={status}",
            f"--run={run}",
            f"--page={page.path}",
            f"--out={ended.path}",
        ],
    )
