"""The command ``viker``: every stage, in the order of the pipeline, and what spans them."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.main import get_command

from components.contract.stages import stages
from pipelines.cli.examples import EXAMPLES
from viker.core import console
from viker.core.console import Group, stage_app
from viker.core.errors import did_you_mean

STAGES = tuple(stages())
SPANNING = (
    *("run", "repro", "init", "validate", "data", "request", "profile", "params", "doctor", "plan", "pipeline"),
    *("summary", "seeds", "sweep", "tune", "track", "promote", "rollback", "status", "ask", "demo", "verify", "sign"),
    *("audit", "export", "privacy", "purge", "certificate", "recheck", "benchmark"),
)
ELSEWHERE = {"rollback": "pipelines.cli.promote", "sweep": "pipelines.sweep.command", "tune": "pipelines.tune.command"}
"""Modules of commands that are not in the module of their name."""


class Stages(Group):
    """Loads a command when it is asked for: a stage's own program, so that both ways to run it are the same."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all commands, the stages in the order of the pipeline."""
        return [*STAGES, *SPANNING]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        if cmd_name in STAGES:
            app = import_module(f"components.{cmd_name}.__main__").app
        elif cmd_name in SPANNING:
            module = import_module(ELSEWHERE.get(cmd_name, f"pipelines.cli.{cmd_name}"))
            app = module.app if hasattr(module, "app") else stage_app(getattr(module, cmd_name))
        else:
            return None
        command = get_command(app)
        command.name = cmd_name
        for name, one in {cmd_name: command, **{f"{cmd_name} {n}": c for n, c in _below(command).items()}}.items():
            if example := EXAMPLES.get(name):
                one.epilog = f"Example: `{example}`"
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and the rest of the arguments; an unknown name ends with the names most like it."""
        if args and args[0] not in self.list_commands(ctx):
            ctx.fail(f"No such command '{args[0]}'{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _below(command: Any) -> dict[str, Any]:
    return dict(getattr(command, "commands", {}))


app = typer.Typer(
    cls=Stages, add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown"
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
