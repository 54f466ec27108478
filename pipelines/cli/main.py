"""The command ``viker``: every stage, in the order of the pipeline, and what spans them."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from components.contract.stages import stages
from viker.core import console
from viker.core.console import stage_app

STAGES = tuple(stages())
SPANNING = (
    *("run", "repro", "data", "request", "profile", "params", "doctor", "plan", "pipeline", "summary", "seeds"),
    *("sweep", "track", "promote", "rollback", "status", "ask", "verify"),
    *("sign", "audit", "privacy", "purge", "certificate", "recheck"),
)


class Stages(TyperGroup):
    """Loads a command when it is asked for: a stage's own program, so that both ways to run it are the same."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all commands, the stages in the order of the pipeline."""
        return [*STAGES, *SPANNING]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        if cmd_name in STAGES:
            app = import_module(f"components.{cmd_name}.__main__").app
        elif cmd_name in SPANNING:
            elsewhere = {"sweep": "pipelines.sweep.command", "rollback": "pipelines.cli.promote"}
            module = import_module(elsewhere.get(cmd_name, f"pipelines.cli.{cmd_name}"))
            app = module.app if hasattr(module, "app") else stage_app(getattr(module, cmd_name))
        else:
            return None
        command = get_command(app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Stages, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown"
)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"viker {version('viker')}")
        except PackageNotFoundError:
            typer.echo("viker, not installed: run from its source")
        raise typer.Exit


@app.callback()
def viker(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Make a multimodal language model forget people on request, and prove that it has.

    The first eight commands are the stages in the order of the pipeline; `dvc repro` runs those whose inputs
    changed. Each reads *params.yaml*; its `--help` says what else it reads and writes.
    """


def main() -> None:
    """Run the command line."""
    console.run(app)


if __name__ == "__main__":
    main()
