"""What the commands on registered versions share: the registry that params.yaml and the environment name."""

from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import Params
from viker.core.mlflow_store import connect, tracking_uri
from viker.registry.registration import update_registration
from viker.registry.versions import Registry
from viker.storage import fetch, is_remote

CACHE = Path("data/sources")
RegisteredOption = Annotated[
    Path, typer.Option("--out", help="What register wrote; updated, so that the report shows the change.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Override the rules; needs --reason.")]
ReasonOption = Annotated[
    str | None, typer.Option(help="Why the rules are overridden; kept with the version and shown in the report.")
]


def open_registry(params: Params) -> Registry:
    """Return the registered model on the configured server or database.

    Raises:
        UserError: nothing answers there.
    """
    uri = tracking_uri()
    return Registry(connect(uri), uri, params.section("register").model_name)


def requests_folder(where: str) -> Path:
    """Return the folder of forget requests, fetched if it isn't local."""
    return fetch(where, None, CACHE) if is_remote(where) else Path(where)


def reason_given(force: bool, reason: str | None) -> str | None:
    """Return the reason to override the rules; None if they count.

    Raises:
        typer.BadParameter: one of --force and --reason comes without the other.
    """
    text = (reason or "").strip()
    if force != bool(text):
        raise typer.BadParameter("--force and --reason '…' go together: what is forced needs a reason, for the record.")
    return text or None


def record(registry: Registry, out: Path) -> None:
    """Bring metrics/register.json up to date if it is about this registry."""
    with registry.explained("the champion has changed, but the record of it was not written"):
        update_registration(registry, out)
