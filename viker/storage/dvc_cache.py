"""Where DVC's links lead: with ``cache.type symlink``, the files of a data set are links into DVC's cache."""

import configparser
import os
from collections.abc import Iterator
from pathlib import Path

from viker.core.errors import UserError


def is_within(path: Path, folder: Path) -> bool:
    """Return whether ``path``, with all links followed, is in ``folder`` or in the cache of the repository around it.

    Raises UserError: a configuration of DVC can't be read.
    """
    target = path.resolve()
    return target.is_relative_to(folder.resolve()) or any(target.is_relative_to(one) for one in caches(folder))


def caches(folder: Path) -> Iterator[Path]:
    """Yield the caches of the repositories around ``folder``: the usual place, and those that are configured."""
    around = {place: None for start in (folder.resolve(), folder.absolute()) for place in (start, *start.parents)}
    users = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dvc"
    for dvc in (place / ".dvc" for place in around):
        if dvc.is_dir():
            yield (dvc / "cache").resolve()
            for file in (users / "config", dvc / "config", dvc / "config.local"):
                if place := _configured(file):
                    yield (dvc / place).resolve()


def _configured(file: Path) -> str:
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeError) as error:
        raise UserError(f"{file}: not readable ({' '.join(str(error).split())[:200]}). Correct it.") from None
    return config.get("cache", "dir", fallback="").strip("'\"")
