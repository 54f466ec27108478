"""A stage's program: its command line, made from what the stage declares."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.last_outputs import put_back
from components.contract.params import Params, load_params
from components.contract.stages import Argument, Option, Stage, default
from viker.core import console
from viker.core.console import ParamsOption
from viker.core.errors import UserError
from viker.core.files import private_files
from viker.core.manifest import MANIFEST, read_manifest

DVC_STAGE = "DVC_STAGE"
"""Names the stage that DVC runs the command of (dvc 3.67.1, dvc/stage/run.py)."""


def stage_program(stage: Stage, command: Callable[[Params, Path, Any], None]) -> typer.Typer:
    """Return the command-line program of a stage; its help is the docstring of ``command``.

    Args:
        stage: the declaration; each of its arguments becomes an option.
        command: takes all parameters, the file that they come from, and an instance of ``stage.arguments``.
    """

    def program(params: Path, **values: Any) -> None:
        settings = load_params(params)
        for name, what in stage.inputs().items():
            if what.artifact == "prepared" and _nothing_to_do(stage, values[name]):
                return
        public = [values[name] for name, what in stage.written().items() if not what.personal.readable]
        with private_files(public) if len(public) < len(stage.written()) else nullcontext():
            command(settings, params, stage.arguments(**values))

    keyword = Parameter.KEYWORD_ONLY
    options = [Parameter("params", keyword, default=Path("params.yaml"), annotation=ParamsOption)]
    for name, (kind, argument) in stage.declared().items():
        options.append(Parameter(name, keyword, default=default(argument), annotation=_option(kind, argument)))
    program.__doc__ = command.__doc__
    program.__annotations__ = {}
    vars(program)["__signature__"] = Signature(options)  # typer reads it
    return console.stage_app(program)


def _nothing_to_do(stage: Stage, prepared: Path) -> bool:
    """Return whether nobody in the prepared data is to be forgotten, and DVC, which ran this, has the last outputs.

    Raises UserError: nobody is to be forgotten, and the stage was not run by DVC, or for the first time.
    """
    if not (prepared / MANIFEST).is_file() or read_manifest(prepared).get("forget_ids", True):
        return False
    with private_files():
        lost = put_back(os.environ[DVC_STAGE]) if DVC_STAGE in os.environ else None
    if lost is None:
        raise UserError(
            f"{prepared}: nobody is to be forgotten: the requests are carried out, and none is pending. There is "
            f"nothing to do for {stage.name}; add a request ('viker request add'), then run 'viker prepare'."
        )
    gone = f", but {', '.join(lost)}: not in DVC's cache any more, such as after a purge, and empty now" if lost else ""
    console.say(f"Nobody is to be forgotten: no request is pending. {stage.name}: the last outputs stay{gone}.")
    return True


def _option(kind: Any, argument: Argument) -> Any:
    metavar = argument.metavar if isinstance(argument, Option) else None
    return Annotated[kind, typer.Option(help=argument.help, metavar=metavar)]
