"""The tasks of the pipeline as components of Kubeflow: a stage's from its declaration, and those around the stages."""

from collections.abc import Callable, Sequence
from functools import cache
from inspect import Parameter, Signature
from typing import Any

from kfp import dsl

from components.contract.kfp_task import CACHE, COMMAND, image
from components.contract.stages import Input, Option, Output, Scratch, Stage, artifacts

KINDS = {"Artifact": dsl.Artifact, "Dataset": dsl.Dataset, "HTML": dsl.HTML, "Metrics": dsl.Metrics, "Model": dsl.Model}
GIVEN = {"params": dict, "pending": dict, "state": str}
"""What 'resolve' gives to stages, and its type."""


def given(stage: Stage) -> tuple[str, ...]:
    """Return what 'resolve' gives to a stage: its parameters, the requests, and the state of what lies outside."""
    options = [what.kubeflow for _, what in stage.declared().values() if isinstance(what, Option)]
    return ("params", *(name for name in options if name in GIVEN), *(["state"] if stage.outside else []))


@cache
def component(stage: Stage) -> Any:
    """Return a stage's component: parameters and inputs, then outputs and results, all under their names."""

    def container(places: dict[str, Any]) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image=image(stage.name), command=COMMAND, args=_arguments(stage, places))

    reads = {what.artifact: artifacts()[what.artifact][1] for what in stage.inputs().values()}
    annotations = {name: GIVEN[name] for name in given(stage)}
    annotations |= {name: dsl.Input[KINDS[output.kind]] for name, output in reads.items()}
    annotations |= {output.artifact: dsl.Output[KINDS[output.kind]] for output in stage.outputs().values()}
    annotations |= {name: dsl.OutputPath(kind) for name, kind in stage.results}
    return container_component(stage.name, stage.help, annotations, container)


def container_component(
    name: str, about: str, annotations: dict[str, Any], container: Callable[[dict[str, Any]], dsl.ContainerSpec]
) -> Any:
    """Return a component of Kubeflow whose parameters and artifacts are known only now.

    ``annotations`` has kfp's type of each; ``container`` is called with a placeholder for each by name.
    """

    def positional(*placeholders: Any) -> dsl.ContainerSpec:
        return container(dict(zip(annotations, placeholders, strict=True)))

    keyword = Parameter.POSITIONAL_OR_KEYWORD
    positional.__name__, positional.__doc__, positional.__annotations__ = name, about, annotations
    positional.__signature__ = Signature(  # type: ignore[attr-defined]  # kfp reads it
        [Parameter(name, keyword, annotation=annotation) for name, annotation in annotations.items()]
    )
    return dsl.container_component(positional)


def launched(args: Sequence[Any], processes: int) -> list[Any]:
    """Return a task's arguments so that accelerate starts its program in several processes, one per GPU."""
    launch = ("--multi_gpu", "--num_machines=1", f"--num_processes={processes}", "--mixed_precision=no")
    return ["accelerate.commands.launch", *launch, "--dynamo_backend=no", "-m", *args]


def _arguments(stage: Stage, places: dict[str, Any]) -> list[Any]:
    arguments: list[Any] = [f"components.{stage.name}"]
    for name, (_, what) in stage.declared().items():
        option = name.replace("_", "-")
        if isinstance(what, Input | Output):
            arguments.append(f"--{option}={places[what.artifact].path}")
        elif isinstance(what, Scratch):
            arguments.append(f"--{option}={CACHE}/{what.volume.format(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)}")
        elif what.kubeflow is False:
            arguments.append(f"--no-{option}")
        elif what.kubeflow is not None:
            arguments.append(f"--{option}={places[what.kubeflow]}")
    return arguments
