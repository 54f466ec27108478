"""What a stage declares of itself, once; command line, Kubeflow, Airflow, images and parameters are made from it.

A stage is a folder of components/ with a module ``stage``, which holds ``STAGE``. Its ``Arguments``, a frozen
dataclass, is what the stage's program takes: each field is annotated with what it is, and its name is the option's.
"""

from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from viker.core.settings import Section

Kind = Literal["Artifact", "Dataset", "HTML", "Metrics", "Model"]


@dataclass(frozen=True)
class Personal:
    """What an artifact holds of people; ``viker privacy map`` prints it, and a test of a whole run holds it to it."""

    whose: Literal["nobody", "forget", "everybody"]
    """People who are to be forgotten, or everybody in the data."""
    what: str = ""
    """What of theirs, in words."""
    form: Literal["records", "weights"] = "records"
    """Records can be searched, are readable by their owner alone, and are purged; weights stay with their version."""
    kept: str = "until 'viker purge'"
    """For how long."""
    copies: tuple[str, ...] = ("DVC's cache and remote",)
    """Where copies of it go."""

    @property
    def readable(self) -> bool:
        """Whether somebody who reads the files learns something about people."""
        return self.whose != "nobody" and self.form == "records"


NOBODY = Personal("nobody", kept="as long as you like")


@dataclass(frozen=True)
class Output:
    """A file or folder that the stage writes; no two stages name an artifact alike."""

    artifact: str
    """Its name in the pipeline, by which later stages ask for it."""
    path: str
    """Where it lies in a work tree."""
    help: str
    kind: Kind = "Artifact"
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Files of the folder that some stages read alone, under a name: an engine that copies artifacts copies these."""
    personal: Personal = field(kw_only=True)


@dataclass(frozen=True)
class Input:
    """An artifact of an earlier stage that this one reads; it lies where that stage's ``Output`` says."""

    artifact: str
    help: str
    part: str = ""
    """The part that it reads of it; empty: all of it."""

    @property
    def source(self) -> str:
        """The name of what an engine that copies artifacts gives it: the artifact, or that of its part."""
        return part_name(self.artifact, self.part) if self.part else self.artifact


@dataclass(frozen=True)
class Scratch:
    """A folder that outlives a task that is killed: what was downloaded, or the state of a run under way."""

    path: str
    """Where it lies in a work tree."""
    help: str
    volume: str
    """Where it lies on the volume that all tasks share; ``{inputs}`` in it is the hash of what the task is given."""
    personal: Personal = field(kw_only=True)


@dataclass(frozen=True)
class Option:
    """Anything else that the program takes."""

    default: Any
    help: str
    metavar: str | None = None
    engine: Any = None
    """What a task of Kubeflow or Airflow is given: False, or the name of an artifact that no stage writes; None: the
    default."""


Argument = Input | Output | Scratch | Option


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    """The name of its folder, of its section of params.yaml, and of its image."""
    help: str
    """What it does, in a sentence."""
    arguments: type[Any]
    """The dataclass of its arguments; see the module's docstring."""
    section: type[Section] | None = None
    """The model of its section of params.yaml."""
    reads: tuple[str, ...] | None = ()
    """Other keys of params.yaml that it reads; None: it reads all but 'deploy'."""
    results: tuple[tuple[str, type[Any]], ...] = ()
    """Keys of the JSON that it writes which Kubeflow's conditions look at."""
    loads_model: bool = False
    """Whether it loads a model as large as the deployed one: then it runs on a GPU node, where there are any."""
    processes: bool = False
    """Whether it can run in several processes, one per GPU."""
    cached: bool = True
    """Whether the same inputs make a new run unnecessary; False for a stage that changes something outside."""
    outside: bool = False
    """Whether it reads data from outside the pipeline, whose state is then a part of its inputs."""
    requirements: tuple[str, ...] = ()
    """The files of requirements/ that its image installs on top of base.txt, in order."""
    image_megabytes: int = 0
    """The most that its image may have, in units of 10^6 bytes, uncompressed, with torch's CPU build."""

    @property
    def sections(self) -> tuple[str, ...] | None:
        """The keys of params.yaml that it reads, its own section included; None: all but 'deploy'."""
        return None if self.reads is None else (*self.reads, *([self.name] if self.section else []))

    def declared(self) -> dict[str, tuple[Any, Argument]]:
        """Return type and declaration of each argument, by name."""
        hints = get_type_hints(self.arguments, include_extras=True)
        annotations = {field.name: get_args(hints[field.name]) for field in fields(self.arguments)}
        return {name: (kind, argument) for name, (kind, argument) in annotations.items()}

    def inputs(self) -> dict[str, Input]:
        """Return the inputs by the names of their arguments."""
        return {name: what for name, (_, what) in self.declared().items() if isinstance(what, Input)}

    def outputs(self) -> dict[str, Output]:
        """Return the outputs by the names of their arguments."""
        return {name: what for name, (_, what) in self.declared().items() if isinstance(what, Output)}

    def written(self) -> dict[str, Output | Scratch]:
        """Return outputs and scratch folders by the names of their arguments."""
        return {name: what for name, (_, what) in self.declared().items() if isinstance(what, Output | Scratch)}


@cache
def stages() -> dict[str, Stage]:
    """Return all stages by name, each after those whose artifacts it reads, alphabetically where that leaves a choice.

    Raises ValueError: two stages write an artifact of one name, or one reads an artifact that none before it writes.
    """
    names = sorted(path.parent.name for path in Path(__file__).parents[1].glob("*/stage.py"))
    waiting = {name: import_module(f"components.{name}.stage").STAGE for name in names}
    ordered: dict[str, Stage] = {}
    written: set[str] = set()
    while waiting:
        ready = [s for s in waiting.values() if {i.artifact for i in s.inputs().values()} <= written]
        if not ready:
            raise ValueError(f"{', '.join(waiting)}: each reads an artifact that no earlier stage writes")
        stage = waiting.pop(ready[0].name)
        for output in stage.outputs().values():
            if output.artifact in written:
                raise ValueError(f"{stage.name}: another stage writes the artifact '{output.artifact}' too")
            written.add(output.artifact)
        ordered[stage.name] = stage
    return ordered


def part_name(artifact: str, part: str) -> str:
    """Return the name of a part of an artifact, as an artifact of its own."""
    return f"{artifact}_{part}"


@cache
def artifacts() -> dict[str, tuple[str, Output]]:
    """Return for each artifact the stage that writes it, and its declaration."""
    return {output.artifact: (stage.name, output) for stage in stages().values() for output in stage.outputs().values()}


@cache
def parts() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return for each part of an artifact, by its name, the artifact and the files, as patterns."""
    return {
        part_name(name, part): (name, files)
        for name, (_, output) in artifacts().items()
        for part, files in output.parts
    }


def default(argument: Argument) -> Any:
    """Return what an argument is where nothing else is said: in a work tree."""
    if isinstance(argument, Option):
        return argument.default
    return Path(artifacts()[argument.artifact][1].path if isinstance(argument, Input) else argument.path)
