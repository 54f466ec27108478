"""What every stage's command line has in common."""

import atexit
import gc
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from viker.core.errors import UserError
from viker.core.files import finite_json
from viker.core.interrupt import interrupt_as_usual
from viker.core.redact import without_secrets
from viker.core.system_errors import cut_off_bytecode, system_error

COLLECTED_AFTER = 10_000
"""How many new objects the garbage collector waits for; 700, Python's own, take a second while torch is imported."""
TERMINATED = 128 + signal.SIGTERM
"""The exit code, 143, of a program that ended because of SIGTERM."""
ParamsOption = Annotated[Path, typer.Option("--params", help="The parameters of all stages.")]


class Command(TyperCommand):
    """A command whose ``--help`` says of a switch what it does and not that it is a ``<bool>``."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; bytecode that a full disk cut off is named, where typer would say "Aborted."."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise cut_off_bytecode(error) or error from None

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, switches without the name of a type."""
        return _untyped_switches(super().get_params(ctx))


class Group(TyperGroup):
    """Several commands, with help as a ``Command`` has it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, switches without the name of a type."""
        return _untyped_switches(super().get_params(ctx))


def _untyped_switches(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


def stage_app(command: Callable[..., None]) -> typer.Typer:
    """Return the command-line program of one stage; its help is the docstring of ``command``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command(cls=Command)(command)
    return app


class CommandGroup(typer.Typer):
    """A program of several commands, each a ``Command``."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        """Return the decorator that adds a command."""
        return super().command(name, cls=Command, **options)


def command_group(about: str) -> typer.Typer:
    """Return a program to add commands to; also where there is but one, it is called by its name."""
    app = CommandGroup(
        cls=Group,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    app.callback(help=about)(lambda: None)
    return app


JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, numbers as numbers.")]


def say_json(value: Any) -> None:
    """Print a value as JSON; what is no finite number is null."""
    typer.echo(json.dumps(finite_json(value), indent=2, ensure_ascii=False))


def show(value: Any, lines: Iterable[str], as_json: bool) -> None:
    """Print what a command did: the value as JSON, or the lines for people."""
    if as_json:
        say_json(value)
    else:
        for line in lines:
            say(line)


def say(text: str) -> None:
    """Print a line as it is: not wrapped, so that paths and commands are easy to copy."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def run(app: Callable[..., Any]) -> None:
    """Run a command-line program.

    A UserError becomes one paragraph on standard error and exit code 1, and so does what the system refuses, such as no
    space or no permission. Any other error keeps its traceback.
    """
    interrupt_as_usual()
    quiet_libraries()
    gc.set_threshold(COLLECTED_AFTER)
    atexit.register(gc.freeze)  # the process's memory goes as a whole: to look for cycles in it first takes a second
    try:
        with on_sigterm(lambda: sys.exit(TERMINATED)):  # temporary files are removed on the way out
            app()
    except Exception as error:  # a person's or the system's is said in a paragraph; any other is raised again
        problem = error if isinstance(error, UserError) else system_error(error)
        if problem is None:
            raise
        text = without_secrets(str(problem))
        Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error:", "bold red"), f" {text}"))
        raise UserExit(text, isinstance(error, UserError) and not _of_the_network(error)) from None


def _of_the_network(error: BaseException | None) -> bool:
    """Return whether an error comes from a connection that failed: of Python, requests, httpx, urllib3 or botocore."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if any(word in name for name in names for word in ("Connection", "Connect", "Timeout", "HTTPError")):
            return True
        error = error.__cause__ or error.__context__
    return False


class UserExit(SystemExit):
    """The end of a program because of something that a person can put right; ``code`` is 1."""

    def __init__(self, text: str, deterministic: bool) -> None:
        """Keep the error's text; ``problem`` is empty if another try may end otherwise, as without space or network."""
        super().__init__(1)
        self.problem = text if deterministic else ""


@contextmanager
def on_sigterm(action: Callable[[], object]) -> Iterator[None]:
    """Call ``action`` when SIGTERM comes while the block runs, in place of what happened before."""
    before = signal.signal(signal.SIGTERM, lambda *_: action())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def quiet_libraries() -> None:
    """Keep the libraries' own chatter off the console, as progress and results are ours to print, and off the network.

    MLflow and Great Expectations are told not to report where they are imported.
    """
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_MININTERVAL", "0.5")
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # the handler's: some libraries set their own loggers to INFO
    logging.basicConfig(handlers=[handler], format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # of kernels that it can do without
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
