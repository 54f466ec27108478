"""From ``prepare.source`` to a local file or folder."""

from pathlib import Path

from viker.core.errors import UserError
from viker.data.settings import PrepareParams
from viker.storage import fetch, is_remote


def locate(params: PrepareParams, cache: Path) -> Path:
    """Return the local file or folder of ``prepare.source``; what isn't local is fetched into ``cache``.

    Raises:
        UserError: naming the parameter, see ``viker.storage.fetch``.
    """
    if not is_remote(params.source) and not Path(params.source).exists():
        raise UserError(
            f"prepare.source is '{params.source}': no such file or folder. Expected a file or folder, "
            "s3://BUCKET/PREFIX, hf://OWNER/NAME, or a .yaml file that describes a benchmark to generate."
        )
    try:
        return fetch(params.source, params.revision, cache)
    except UserError as error:
        raise UserError(f"prepare.source: {error}") from None
