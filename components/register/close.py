"""``python -m components.register.close``: mark the requests that a promoted version carries out as done."""

from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from viker.core import console
from viker.core.console import stage_app
from viker.core.errors import UserError
from viker.core.files import locked, replace_file, write_json
from viker.core.manifest import read_manifest
from viker.data.requests import carried_out, read_requests
from viker.storage import fetch, is_remote


def command(
    requests: Annotated[str, typer.Option(help="The folder of requests, or s3://….")],
    version: Annotated[int, typer.Option(min=1, help="The version that was promoted.")],
    out: Annotated[Path, typer.Option(help="Which requests are done, JSON.")],
    prepared: Annotated[Path, typer.Option(help="The prepared data, whose manifest names them.")] = Path(
        "data/prepared"
    ),
    cache: Annotated[Path, typer.Option(help="Where a remote folder is downloaded to.")] = Path("data/sources"),
) -> None:
    """Note the version in each request that the prepared data carries out.

    A request that is already done stays unchanged. A file that changes in the meantime is not overwritten.
    """
    ids = read_manifest(prepared)["requests"]
    done = close(requests, ids, version, cache)
    write_json(out, {"version": version, "requests": done})
    typer.echo(f"carried out by version {version}: {', '.join(done) or 'no request'}")


def close(where: str, ids: list[str], version: int, cache: Path) -> list[str]:
    """Mark the requests with these IDs and return those that were not done before.

    Raises UserError: one of them is no longer there, or a file can't be written.
    """
    folder = fetch(where, None, cache) if is_remote(where) and ids else Path(where)
    with nullcontext() if is_remote(where) or not folder.is_dir() else locked(folder):
        requests = {request.id: (path, request) for path, request in (read_requests(folder) if ids else {}).items()}
        missing = sorted(set(ids) - set(requests))
        if missing:
            raise UserError(
                f"{where}: no request {', '.join(missing)}, which version {version} carries out. Put it back."
            )
        done = [name for name in ids if requests[name][1].carried_out is None]
        for name in done:
            path = requests[name][0]
            if is_remote(where):
                from viker.storage.s3 import read_s3, replace_s3

                place = f"{where.rstrip('/')}/{path.name}"
                content, etag = read_s3(place)
                replace_s3(place, carried_out(content.decode(), date.today(), version).encode(), etag)
            else:
                replace_file(path, carried_out(path.read_text(encoding="utf-8"), date.today(), version))
    return done


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
