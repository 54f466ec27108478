"""``python -m components.register.collect``: what a run in an engine starts from, fetched once for all its tasks.

The hash of the requests and the champion's version are among its arguments, so an engine's cache tells whether the same
was collected before; the artifacts then are the same, and so what was made of them.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import stage_app
from viker.core.errors import UserError
from viker.core.files import new_folder, sha256_json, write_json
from viker.core.mlflow_store import connect, tracking_uri
from viker.registry.stored import fetch_adapter
from viker.registry.versions import Registry
from viker.storage import fetch, is_remote


def command(
    requests: Annotated[str, typer.Option(help="The folder of requests, or s3://….")],
    requests_sha256: Annotated[str, typer.Option(help="The hash of its files, as resolve found them.")],
    pending: Annotated[Path, typer.Option(help="The request files by name go here, JSON.")],
    start: Annotated[Path, typer.Option(help="The adapter goes here; without a champion there is none in it.")],
    champion: Annotated[str, typer.Option(help="Its version; empty: start from nothing.")] = "",
    model_name: Annotated[str, typer.Option(help="The registered model.")] = "viker-adapter",
) -> None:
    """Fetch the request files, and the adapter of the champion that unlearn goes on from."""
    files = read_files(requests)
    if sha256_json(files) != requests_sha256:
        raise UserError(
            f"{requests}: a request was added or changed while the run was starting. Start it again; a schedule does."
        )
    with new_folder(start) as folder:
        if not champion:
            write_json(folder / "start.json", {"version": None})  # an engine doesn't hand on an empty folder
        else:  # the adapter's files alone: by their hash it is found in the registry again
            uri = tracking_uri()
            registry = Registry(connect(uri), uri, model_name)
            with (
                registry.explained("its adapter can't be fetched"),
                tempfile.TemporaryDirectory() as scratch,
            ):
                for file in fetch_adapter(registry, int(champion), Path(scratch)).iterdir():
                    (folder / file.name).write_bytes(file.read_bytes())
    write_json(pending, files)
    typer.echo(f"{len(files)} request files; start from {f'version {champion}' if champion else 'the vanilla model'}")


def read_files(requests: str) -> dict[str, str]:
    """Return the texts of the request files by name. Raises UserError: one isn't a request, or there is none."""
    from viker.data.requests import read_requests

    with tempfile.TemporaryDirectory() as cache:
        folder = fetch(requests, None, Path(cache)) if is_remote(requests) else Path(requests)
        return {path.name: path.read_text(encoding="utf-8") for path in read_requests(folder)}


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
