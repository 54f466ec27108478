"""``python -m components.sample``: choose or draw the irrelevant images."""

from pathlib import Path
from typing import Annotated

import typer

from components.common import cli
from components.common.cli import ParamsOption, stage_app
from components.common.params import load_params


def command(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data, to check against.")] = Path("data/prepared"),
    out: Annotated[Path, typer.Option(help="The images and their manifest.")] = Path("data/irrelevant"),
) -> None:
    """Sample irrelevant images: what the teacher sees in place of the person.

    The kinds are the key 'sample.kinds'. An image that resembles a picture of the data is refused.
    """
    settings = load_params(params)
    from components.sample.run import run

    manifest = run(settings.sample, settings.seed, prepared, out)
    for kind in manifest["kinds"]:
        typer.echo(f"{kind}: {sum(image['kind'] == kind for image in manifest['images'])} images")
    typer.echo(f"checked against {manifest['checked_against']} pictures, {len(manifest['refused'])} refused")


app = stage_app(command)

if __name__ == "__main__":
    cli.run(app)
