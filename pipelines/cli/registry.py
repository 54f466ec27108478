"""What the commands on registered versions share: the registry that params.yaml and the environment name."""

from pathlib import Path

from components.contract.params import Params
from viker.core.mlflow_store import connect, tracking_uri
from viker.registry.versions import Registry
from viker.storage import fetch, is_remote

CACHE = Path("data/sources")


def open_registry(params: Params) -> Registry:
    """Return the registered model on the configured server or database. Raises UserError: nothing answers there."""
    uri = tracking_uri()
    return Registry(connect(uri), uri, params.section("register").model_name)


def requests_folder(where: str) -> Path:
    """Return the folder of forget requests, fetched if it isn't local."""
    return fetch(where, None, CACHE) if is_remote(where) else Path(where)
