"""The tasks of the pipeline as components of Kubeflow: a stage's from its declaration, and those around the stages."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from inspect import Parameter, Signature
from typing import Any

from kfp import dsl

from components.contract.kfp_task import CACHE, COMMAND, image
from components.contract.stages import Input, Option, Output, Scratch, Stage, artifacts, part_name

KINDS = {"Artifact": dsl.Artifact, "Dataset": dsl.Dataset, "HTML": dsl.HTML, "Metrics": dsl.Metrics, "Model": dsl.Model}
BESIDE = {
    "pending": ("pending",),
    "start": ("start",),
    "teachers": ("teachers",),
    "answers": ("answers_vanilla", "answers_unlearned"),
}
"""The artifacts of tasks around the stages that a stage may ask for, by what its declaration calls them."""
LISTS = ("teachers", "answers_unlearned")
"""Those of them that are a list, from tasks that share the work; there is none where one task does it."""


def given(stage: Stage) -> dict[str, type]:
    """Return what 'resolve' gives to a stage: its parameters, the state of what lies outside, and refusals so far."""
    wanted = {"params": True, "state": stage.outside, "refusals": stage.loads_model}
    return {name: dict if name == "params" else str for name, is_wanted in wanted.items() if is_wanted}


def beside(stage: Stage, shared: Collection[str]) -> tuple[str, ...]:
    """Return which artifacts of tasks around the stages it reads; ``shared``: those of ``LISTS`` that there are."""
    options = [what.engine for _, what in stage.declared().values() if isinstance(what, Option)]
    names = [name for option in options for name in BESIDE.get(option, ())]
    return tuple(name for name in names if name not in LISTS or name in shared)


@cache
def component(stage: Stage, shared: tuple[str, ...] = ()) -> Any:
    """Return a stage's component: parameters and inputs, then outputs and results, all under their names."""

    def container(places: dict[str, Any]) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image=image(stage.name), command=COMMAND, args=_arguments(stage, places, shared))

    reads = {what.source: artifacts()[what.artifact][1] for what in stage.inputs().values()}
    annotations: dict[str, Any] = given(stage)
    for name in beside(stage, shared):
        annotations[name] = dsl.Input[list[dsl.Artifact]] if name in LISTS else dsl.Input[dsl.Artifact]
    annotations |= {name: dsl.Input[KINDS[output.kind]] for name, output in reads.items()}
    annotations |= {output.artifact: dsl.Output[KINDS[output.kind]] for output in stage.outputs().values()}
    annotations |= {name: dsl.Output[dsl.Artifact] for name, (_, of) in written_parts(stage).items()}
    annotations |= {name: dsl.OutputPath(kind) for name, kind in stage.results}
    return container_component(stage.name, stage.help, annotations, container)


def written_parts(stage: Stage) -> dict[str, tuple[str, str]]:
    """Return for each part of what a stage writes, by its name as an artifact, the artifact and the part."""
    return {
        part_name(output.artifact, part): (output.artifact, part)
        for output in stage.outputs().values()
        for part, _ in output.parts
    }


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
    options = [Parameter(name, keyword, annotation=annotation) for name, annotation in annotations.items()]
    vars(positional)["__signature__"] = Signature(options)  # kfp reads it
    return dsl.container_component(positional)


def launched(args: Sequence[Any], processes: int) -> list[Any]:
    """Return a task's arguments so that accelerate starts its program in several processes, one per GPU."""
    launch = ("--multi_gpu", "--num_machines=1", f"--num_processes={processes}", "--mixed_precision=no")
    return ["accelerate.commands.launch", *launch, "--dynamo_backend=no", "-m", *args]


def _arguments(stage: Stage, places: dict[str, Any], shared: Collection[str]) -> list[Any]:
    arguments: list[Any] = [f"components.{stage.name}"]
    for name, (_, what) in stage.declared().items():
        option = name.replace("_", "-")
        if isinstance(what, Input | Output):
            source = what.source if isinstance(what, Input) else what.artifact
            arguments.append(f"--{option}={places[source].path}")
        elif isinstance(what, Scratch):
            arguments.append(f"--{option}={CACHE}/{what.volume}")
        elif what.engine is False:
            arguments.append(f"--no-{option}")
        elif what.engine is not None:
            for name in BESIDE[what.engine]:
                if name not in LISTS:
                    arguments.append(f"--{option}={places[name].path}")
                elif name in shared:
                    arguments.append(f"--{option}={{each:{name}}}")
    return arguments
