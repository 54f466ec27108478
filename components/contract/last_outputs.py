"""A stage under DVC where nobody is to be forgotten: its last outputs stay.

DVC removes the outputs of a stage before it runs the command, and fails where they are missing afterwards. So they are
put back from DVC's cache, and ``dvc repro`` ends well, as an engine does that runs no stage without people.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from viker.core.files import new_file, new_folder
from viker.core.settings import read_yaml
from viker.storage.dvc_cache import caches

LOCK = Path("dvc.lock")


def put_back(stage: str) -> list[str] | None:
    """Put back what a stage wrote last; return what isn't in DVC's cache, such as after a purge, and is empty now.

    Nothing is done, and None returned, where DVC has never run the stage.

    Args:
        stage: its name in dvc.lock, in the current folder.
    """
    lock = read_yaml(LOCK, "DVC writes it.") if LOCK.is_file() else {}
    outs: list[dict[str, Any]] = lock.get("stages", {}).get(stage, {}).get("outs", [])
    lost = []
    for path, digest in ((Path(out["path"]), str(out["md5"])) for out in outs):
        if path.exists():  # DVC leaves it, as dvc.yaml says 'persist'
            continue
        files = _files(digest)
        if files is None:
            lost.append(str(path))
        if digest.endswith(".dir"):
            with new_folder(path) as folder:
                for name, cached in (files or {}).items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(cached, folder / name)
        else:
            with new_file(path) as file:
                file.touch()
                for cached in (files or {}).values():
                    shutil.copyfile(cached, file)
    return lost if outs else None


def _files(digest: str) -> dict[str, Path] | None:
    """Return the files in DVC's cache by their names in a folder, or one under ""; None: one isn't there."""
    found = next(_objects(digest), None)
    if found is None:
        return None
    if not digest.endswith(".dir"):
        return {"": found}
    files = {one["relpath"]: next(_objects(one["md5"]), None) for one in json.loads(found.read_text())}
    there = {name: path for name, path in files.items() if path is not None}
    return there if len(there) == len(files) else None


def _objects(digest: str) -> Iterator[Path]:
    places = (cache / "files/md5" / digest[:2] / digest[2:] for cache in caches(Path.cwd()))
    return (place for place in places if place.is_file())
