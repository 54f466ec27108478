"""The tasks around the stages, as components of Kubeflow: before them 'resolve', after them promotion and closing."""

from functools import cache
from typing import Any

from kfp import dsl

from components.contract.kfp_task import CACHE, COMMAND, OUTCOME, image
from components.contract.stages import stages
from pipelines.kubeflow.components import container_component

REFUSALS = tuple(f"refuse-{stage.name}" for stage in stages().values() if stage.loads_model)
"""What fails the run for a task on a GPU node that was given something it can't use."""
ASKS = {
    "ask-teacher": ("unlearn", "Ask the teacher of a share of the samples."),
    "ask-vanilla": ("evaluate", "Ask the vanilla model, all or a share."),
    "ask-unlearned": ("evaluate", "Ask the unlearned model, all or a share."),
}
"""Tasks that do a part of a stage's work ahead of it, on GPU nodes like it, and what they do."""
ASKED = {"teachers": "ask-teacher", "answers_vanilla": "ask-vanilla", "answers_unlearned": "ask-unlearned"}
"""Which of them makes an artifact that a stage asks for."""
IMAGES = {"resolve": "prepare", "purge": "prepare"} | {name: stage for name, (stage, _) in ASKS.items()}
IMAGES |= dict.fromkeys(("collect", *REFUSALS, "promote", "close", "finish"), "register")
"""The stage in whose image each task runs."""
CACHED = ("collect", *ASKS)
"""Which of them may come from the cache: the others look at or change something outside."""


@cache
def resolve() -> Any:
    """Return the component that reads the requests, pins the data's revision, and gives each stage its parameters."""

    def container(places: dict[str, Any]) -> dsl.ContainerSpec:
        values = [f"--{name.replace('_', '-')}={places[name]}" for name in arguments if name != "params"]
        args = ["components.prepare.resolve", *values, f"--out={places['resolved'].path}"]
        return dsl.ContainerSpec(image=image("prepare"), command=COMMAND, args=args)

    texts = ("source", "revision", "requests", "model", "policy")
    arguments: dict[str, Any] = {"params": dict, **dict.fromkeys(texts, str), "only_requests": bool}
    outputs = {"resolved": dsl.Output[dsl.Artifact]}
    results = ("work", "folder", "state", "requests_sha256", "champion", "refusals", "model_name")
    outputs |= {name: dsl.OutputPath(str) for name in results}
    outputs |= {name: dsl.OutputPath(dict) for name in stages()}
    about = "Read the requests, pin the data's revision, check all parameters, and give each stage those that it reads."
    return container_component("resolve", about, arguments | outputs, container)


def _register(program: str, **options: Any) -> dsl.ContainerSpec:
    args = [f"components.register.{program}"]
    args += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return dsl.ContainerSpec(image=image("register"), command=COMMAND, args=args)


@dsl.container_component
def collect(
    requests: str,
    requests_sha256: str,
    champion: str,
    model_name: str,
    pending: dsl.Output[dsl.Artifact],
    start: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Fetch the request files, and the adapter of the champion that unlearn goes on from."""
    values = {"requests": requests, "requests_sha256": requests_sha256, "champion": champion, "model_name": model_name}
    return _register("collect", **values, pending=pending.path, start=start.path)


@cache
def ask(task: str) -> Any:
    """Return the component of one of ``ASKS``."""
    stage, about = ASKS[task]
    models = {"ask-teacher": {"start": dsl.Artifact}, "ask-unlearned": {"adapter": dsl.Model}}.get(task, {})
    reads = {"prepared": dsl.Dataset, "vanilla": dsl.Model, "irrelevant": dsl.Dataset} | models
    inputs: dict[str, Any] = {"params": dict, "refusals": str, "share": str}
    inputs |= {name: dsl.Input[kind] for name, kind in reads.items()}

    def container(places: dict[str, Any]) -> dsl.ContainerSpec:
        args = [f"components.{stage}.part", *(f"--{name}={places[name].path}" for name in reads)]
        args += [f"--share={places['share']}", f"--out={places['answers'].path}", f"--work={CACHE}/{task}/{{inputs}}"]
        return dsl.ContainerSpec(image=image(stage), command=COMMAND, args=args)

    outputs = {"answers": dsl.Output[dsl.Artifact], OUTCOME: dsl.OutputPath(str)}
    return container_component(task, about, inputs | outputs, container)


@cache
def refuse(stage: str) -> Any:
    """Return the component that fails the run with what a stage on a GPU node was given that it can't use."""

    def container(places: dict[str, Any]) -> dsl.ContainerSpec:
        return _register("refuse", reason=places["reason"], out=places["nothing"].path)

    places = {"reason": str, "nothing": dsl.Output[dsl.Artifact]}
    return container_component(f"refuse-{stage}", f"Fail the run with what {stage} can't use.", places, container)


@dsl.container_component
def promote(
    params: dict, registered: dsl.Input[dsl.Artifact], promoted: dsl.Output[dsl.Artifact], version: dsl.OutputPath(int)
) -> dsl.ContainerSpec:
    """Make the registered version the champion."""
    return _register("promote", registered=registered.path, out=promoted.path)


@dsl.container_component
def close(
    requests: str, version: int, prepared_manifest: dsl.Input[dsl.Artifact], closed: dsl.Output[dsl.Artifact]
) -> dsl.ContainerSpec:
    """Mark the requests that the promoted version carries out as done."""
    cache = f"{CACHE}/sources"
    prepared = prepared_manifest.path
    return _register("close", requests=requests, version=version, prepared=prepared, out=closed.path, cache=cache)


@dsl.container_component
def purge(
    params: dict, requests: str, prepared: dsl.Input[dsl.Dataset], purged: dsl.Output[dsl.Artifact]
) -> dsl.ContainerSpec:
    """Remove the data of people whose requests were carried out long enough ago, by register.purge_after."""
    args = ["components.privacy.by_policy", f"--requests={requests}", f"--known={prepared.path}"]
    args += [f"--artifact={prepared.uri}", f"--out={purged.path}"]
    return dsl.ContainerSpec(image=image("prepare"), command=COMMAND, args=args)


@dsl.container_component
def finish(
    status: dsl.PipelineTaskFinalStatus,
    run: str,
    requests: str,
    page: dsl.Output[dsl.Markdown],
    ended: dsl.Output[dsl.Artifact],
) -> dsl.ContainerSpec:
    """Write what the run came to, and end what it left open in MLflow."""
    return _register("finish", status=status, run=run, requests=requests, page=page.path, out=ended.path)
