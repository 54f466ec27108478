"""Results that outlive a run: what a later run would ask a model again, by the hash of everything that decides it."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import viker
from viker.core.errors import UserError
from viker.core.files import locked, new_folder, private_files, read_json, sha256_json, sha256_path, write_json

FOLDER, SIZE = "VIKER_CACHE_DIR", "VIKER_CACHE_GIB"
"""The variables: where it lies, by default work/cache; and how large it may become, by default 5 GiB; 0: no cache."""
SEAL = "seal.json"

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where the results are kept."""
    return Path(os.environ.get(FOLDER) or "work/cache")


def limit() -> float:
    """Return how many bytes the results may take; 0: none are kept. Raises UserError: it is no such number."""
    text = os.environ.get(SIZE) or "5"
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise UserError(f"{SIZE} is '{text[:40]}': expected a number of GiB, 0 or more. 0 switches the cache off.")
    return size * 2**30


def key_of(what: str, deciding: Mapping[str, Any]) -> str:
    """Return the key of a result: what it is, everything that decides it (JSON values), and this version's code."""
    package = Path(viker.__file__).parent
    code = [[str(path.relative_to(package)), sha256_path(path)] for path in sorted(package.rglob("*.py"))]
    return sha256_json([what, deciding, code])


@contextmanager
def cached(key: str | None, what: str) -> Iterator[Path | None]:
    """Yield the folder of a whole entry, or None; meanwhile no other process changes the cache. A torn one is removed.

    ``key``: None where this run's results can't be those of another. ``what``: the results, for the line that says
    where they come from.
    """
    if key is None or not limit() or not (cache_folder() / key).is_dir():
        yield None
        return
    with private_files(), locked(cache_folder()):
        folder = cache_folder() / key
        if not _whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            yield None
            return
        with suppress(OSError):  # read-only: nothing is removed there either
            os.utime(folder / SEAL)
        log.warning("%s: taken from %s, asked by an earlier run; %s=0 asks again", what, folder, SIZE)
        yield folder


def keep(key: str, write: Callable[[Path], None]) -> None:
    """Keep what ``write`` puts into the folder that it gets; above the limit, what wasn't used for longest goes.

    Where the cache can't be written, a warning says so and the run goes on: only a later one would need it.
    """
    if not limit():
        return
    try:
        with private_files(), locked(cache_folder()):
            with new_folder(cache_folder() / key) as folder:
                write(folder)
                write_json(folder / SEAL, _hashes(folder))
            _shrink()
    except OSError as error:
        log.warning("%s: nothing is kept there for later runs: %s", cache_folder(), error.strerror or error)


def _shrink() -> None:
    entries = sorted(cache_folder().glob(f"*/{SEAL}"), key=lambda seal: seal.stat().st_mtime_ns)
    sizes = {seal.parent: sum(file.stat().st_size for file in seal.parent.iterdir()) for seal in entries}
    for folder, size in list(sizes.items()):
        if sum(sizes.values()) <= limit():
            return
        log.info("%s: removed, %d bytes: the cache is above its limit", folder, size)
        shutil.rmtree(folder)
        del sizes[folder]


def _whole(folder: Path) -> bool:
    try:
        return read_json(folder / SEAL, "viker") == _hashes(folder)
    except UserError:
        return False


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_path(path) for path in sorted(folder.iterdir()) if path.name != SEAL}
