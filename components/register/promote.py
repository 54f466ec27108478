"""``python -m components.register.promote``: make a registered version the champion, once its gate has passed."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.mlflow_store import connect, tracking_uri
from viker.evidence import audit
from viker.evidence.registration import read_registration


def command(
    out: Annotated[Path, typer.Option(help="The version and its aliases, JSON.")],
    params: ParamsOption = Path("params.yaml"),
    registered: Annotated[Path, typer.Option(help="What register wrote.")] = Path("metrics/register.json"),
) -> None:
    """Move the alias **champion** to the version that *register* made.

    Refused if its verdict is not about this adapter, these data and this policy, or if people would be known again
    whom the champion has forgotten. A version that already is the champion stays it.
    """
    from viker.gate.doubts import Policy
    from viker.registry.promotion import promote
    from viker.registry.registration import write_registration
    from viker.registry.versions import Registry

    settings = load_params(params)
    version = read_registration(registered)["version"]
    uri = tracking_uri()
    registry = Registry(connect(uri), uri, settings.section("register").model_name)
    promotion = promote(registry, version, Policy(settings.gate))
    if promotion.moved:
        audit.append("promotion", {"model": registry.name, "version": version, "replaces": promotion.replaced})
    write_registration(registry, version, out, [])
    typer.echo(f"{registry.name} version {version} is the champion{'' if promotion.moved else ' already'}.")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
