"""The tasks around the stages, as components of Kubeflow: before them 'resolve', after them promotion and closing."""

from functools import cache
from typing import Any

from kfp import dsl

from components.contract.kfp_task import CACHE, COMMAND, image
from components.contract.stages import stages
from pipelines.kubeflow.components import container_component

IMAGES = {"resolve": "prepare", "promote": "register", "close": "register", "finish": "register"}
"""The stage in whose image each task runs. None is cached: they look at or change something outside."""


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
    outputs |= {name: dsl.OutputPath(str) for name in ("work", "folder", "state")}
    outputs |= {name: dsl.OutputPath(dict) for name in ("pending", *stages())}
    about = "Read the requests, pin the data's revision, check all parameters, and give each stage those that it reads."
    return container_component("resolve", about, arguments | outputs, container)


def _register(program: str, **options: Any) -> dsl.ContainerSpec:
    args = [f"components.register.{program}", *(f"--{name}={value}" for name, value in options.items())]
    return dsl.ContainerSpec(image=image("register"), command=COMMAND, args=args)


@dsl.container_component
def promote(
    params: dict, registered: dsl.Input[dsl.Artifact], promoted: dsl.Output[dsl.Artifact], version: dsl.OutputPath(int)
) -> dsl.ContainerSpec:
    """Make the registered version the champion."""
    return _register("promote", registered=registered.path, out=promoted.path)


@dsl.container_component
def close(
    requests: str, version: int, prepared: dsl.Input[dsl.Dataset], closed: dsl.Output[dsl.Artifact]
) -> dsl.ContainerSpec:
    """Mark the requests that the promoted version carries out as done."""
    cache = f"{CACHE}/sources"
    return _register("close", requests=requests, version=version, prepared=prepared.path, out=closed.path, cache=cache)


@dsl.container_component
def finish(
    status: dsl.PipelineTaskFinalStatus, run: str, page: dsl.Output[dsl.Markdown], ended: dsl.Output[dsl.Artifact]
) -> dsl.ContainerSpec:
    """Write how the run ended, and end what it left open in MLflow."""
    return _register("finish", status=status, run=run, page=page.path, out=ended.path)
