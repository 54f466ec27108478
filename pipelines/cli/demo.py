"""``viker demo``: a page on this machine where anybody can try what the model knew and still knows."""

import socket
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError

LOCAL = ("127.0.0.1", "localhost")


def demo(
    host: Annotated[str, typer.Option(help="The address to answer at; 0.0.0.0 lets other machines in.")] = LOCAL[0],
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 7860,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    adapter: Annotated[Path, typer.Option(help="The work tree's adapter.")] = Path("models/adapter"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model that it belongs to.")] = Path("models/vanilla"),
    data: Annotated[Path, typer.Option(help="The prepared data, for people to try.")] = Path("data/prepared"),
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Open a page: a picture and a question, what the model said before and says now, token by token.

    People to forget and to retain are there to try, and any picture of your own; the champion, any registered version,
    or the work tree's adapter. The page loads nothing from elsewhere and stores nothing; Ctrl-C ends it.
    """
    settings = load_params(params)
    with _listening(host, port) as listener, tempfile.TemporaryDirectory() as scratch:
        say("Loading the model …")
        import uvicorn

        from pipelines.demo_page.people import people_to_try
        from pipelines.demo_page.server import application
        from pipelines.demo_page.versions import Versions

        versions = Versions(settings, adapter, vanilla, Path(scratch))
        choices, first = versions.choices()
        if not choices:
            because = f" ({versions.problem})" if versions.problem else ""
            raise UserError(
                f"there is nothing to ask: no adapter in {adapter}, and no registered version{because}. "
                "'viker repro' makes an adapter and registers it."
            )
        notes: list[str] = []
        try:
            versions.ask(first, lambda answerer: answerer)
        except UserError as error:
            if len(choices) == 1:
                raise
            notes.append(str(error))
        people, missing = people_to_try(data, settings.evaluate.in_force())
        notes += missing
        for note in notes:
            say(note)
        local = host in LOCAL
        hosts = LOCAL if local else ()
        app = application(versions, people, notes, settings.unlearn.key_token_entropy, hosts)
        address = f"http://{host}:{listener.getsockname()[1]}"
        say(f"{address}    (Ctrl-C ends it)")
        if not local:
            say("Whoever reaches this address sees people's pictures and answers: no password protects them.")
        if browser:
            webbrowser.open(address)
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2, lifespan="off")
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            say("ended")


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UserError: the address isn't this machine's, or the port is taken."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise UserError(
            f"--host {host} --port {port}: can't listen there ({reason}). Name another with --port, or 0 for "
            "any free one; --host takes 127.0.0.1, 0.0.0.0 or an IPv4 address of this machine."
        ) from None
