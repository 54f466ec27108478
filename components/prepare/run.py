"""From a source to validated splits in one schema."""

from pathlib import Path
from typing import Any

from viker.core.files import new_folder
from viker.data.pictures.cache import FingerprintCache
from viker.data.preparation import load_source, write_prepared
from viker.data.settings import PrepareParams
from viker.data.validation.data_docs import validate


def run(
    params: PrepareParams,
    seed: int,
    out: Path,
    validation: Path,
    cache: Path = Path("data/sources"),
    known: Path | None = None,
) -> dict[str, Any]:
    """Write the splits, pictures and manifest.json to ``out``, the validation to ``validation``; return the manifest.

    ``cache`` keeps what is fetched of a source that isn't local; the folder ``known``, the fingerprints of
    pictures, so that the next run needn't decode them again; None: none are kept.

    Raises UserError: the source is missing or not in a known format, a request names nobody, or an expectation failed.
    """
    fingerprints = FingerprintCache(known)
    with new_folder(out) as folder:
        loaded = load_source(params, seed, folder, cache, fingerprints)
        checks = validate(loaded.benchmark, loaded.intake, validation, params.data_docs)
        manifest = write_prepared(loaded, params, seed, checks, folder)
    fingerprints.write(loaded.intake.fingerprints)
    return manifest
