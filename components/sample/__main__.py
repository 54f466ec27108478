"""``python -m components.sample``: choose or draw the irrelevant images."""

from collections import Counter
from pathlib import Path

import typer

from components.contract.params import Params
from components.contract.program import stage_program
from components.sample.stage import STAGE, Arguments
from viker import tracking
from viker.core import console


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Gather irrelevant images: what the teacher sees in place of the person.

    Gathers `sample.pool` images of the kinds in `sample.kinds`; each forget question gets `sample.k` of them, seeded.
    An image that can't be read, or resembles a picture of the data, is refused and listed in manifest.json.
    """
    from components.sample.run import run

    with tracking.Stage("sample", settings.values(), params) as recorded:
        recorded.params({"sample": settings.sample.model_dump(mode="json"), "seed": settings.seed})
        recorded.data(args.prepared)
        manifest = run(settings.sample, settings.seed, args.prepared, args.out, args.cache, args.cache)
        recorded.metrics({"images": len(manifest["images"]), "refused": len(manifest["refused"])})
        recorded.artifact(args.out / "manifest.json")
    for kind, count in Counter(image["kind"] for image in manifest["images"]).items():
        typer.echo(f"{kind}: {count} images")
    typer.echo(f"each question gets {manifest['k']} of {manifest['pool']}")
    typer.echo(f"checked against {manifest['checked_against']} pictures, {len(manifest['refused'])} refused")
    for reason, count in Counter(image["reason"] for image in manifest["refused"]).most_common(5):
        typer.echo(f"  {count} x {reason}")
    if manifest["ablation"]:
        typer.secho(
            "warning: the kinds 'forget' and 'retain' show people of the data: an ablation of the paper, which hurts. "
            "Don't promote an adapter made with it.",
            fg="yellow",
            err=True,
        )


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
