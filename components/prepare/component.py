"""The stage prepare, and what decides before it whether there is work, as components of Kubeflow Pipelines."""

from kfp import dsl

from components.kfp_task import CACHE, COMMAND, image


@dsl.container_component
def resolve(
    params: dict,
    source: str,
    revision: str,
    requests: str,
    model: str,
    policy: str,
    only_requests: bool,
    resolved: dsl.Output[dsl.Artifact],
    work: dsl.OutputPath(str),
    folder: dsl.OutputPath(str),
    state: dsl.OutputPath(str),
    pending: dsl.OutputPath(dict),
    prepare: dsl.OutputPath(dict),
    finetune: dsl.OutputPath(dict),
    sample: dsl.OutputPath(dict),
    unlearn: dsl.OutputPath(dict),
    evaluate: dsl.OutputPath(dict),
    gate: dsl.OutputPath(dict),
    register: dsl.OutputPath(dict),
    report: dsl.OutputPath(dict),
) -> dsl.ContainerSpec:
    """Read the requests, pin the data's revision, check all parameters, and give each stage those that it reads."""
    return dsl.ContainerSpec(
        image=image("prepare"),
        command=COMMAND,
        args=[
            "components.prepare.resolve",
            f"--source={source}",
            f"--revision={revision}",
            f"--requests={requests}",
            f"--model={model}",
            f"--policy={policy}",
            f"--only-requests={only_requests}",
            f"--out={resolved.path}",
        ],
    )


@dsl.container_component
def prepare(
    params: dict,
    pending: dict,
    state: str,
    prepared: dsl.Output[dsl.Dataset],
    validation: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Read or generate the benchmark, validate it, write the splits.

    ``state`` stands for what the source held: the stage doesn't read it, Kubeflow's cache does.
    """
    return dsl.ContainerSpec(
        image=image("prepare"),
        command=COMMAND,
        args=[
            "components.prepare",
            f"--requests={pending}",
            f"--out={prepared.path}",
            f"--validation={validation.path}",
            f"--cache={CACHE}/sources",
        ],
    )
