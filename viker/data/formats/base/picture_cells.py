"""Pictures of the user's own data: in the table, or as files beside it, which nothing may lead out of."""

from pathlib import Path
from typing import Any

from viker.data.formats.base.intake import BadRow
from viker.data.formats.base.shards import take_picture
from viker.data.pictures.store import PictureStore


def picture_of(value: Any, where: str, folder: Path, store: PictureStore) -> str:
    """Store the picture of a cell of the column ``image``; return its hash, "" where the cell is empty.

    Args:
        value: bytes, a path under ``folder``, or a struct {bytes, path} with one of the two.
        where: file and row, for messages.
        folder: the data folder.
        store: takes the picture.

    Raises:
        BadRow: the path leads out of the folder or to no file, or it is no usable picture.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        value = _bytes_at(value, where, folder)
    if not isinstance(value, bytes):
        raise BadRow(where, "image", "picture", f"found {str(value)[:40]!r}; expected bytes, or a path to a picture.")
    return take_picture(value, where, "image", store)


def _bytes_at(path: str, where: str, folder: Path) -> bytes:
    root = folder.resolve()
    try:
        target = (root / path).resolve()
        if Path(path).is_absolute() or ".." in Path(path).parts or not target.is_relative_to(root):
            raise BadRow(
                where, "image", "path", f"'{path}' leads out of the data folder; give a path under {folder}, no link."
            )
        if not target.is_file():
            raise BadRow(where, "image", "path", f"no file '{path}' under {folder}; add it or correct the path.")
        return target.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRow(where, "image", "path", f"{path[:80]!r} can't be read ({error}); correct the path.") from None
