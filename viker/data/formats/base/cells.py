"""Pictures in the cells of a table: bytes, Base64, or a path to a file beside it."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from viker.core.system_errors import system_error
from viker.data.canonical import canonical_text, with_code_points
from viker.data.formats.base.intake import BadRow
from viker.data.formats.base.shards import take_picture
from viker.data.pictures.store import PictureStore
from viker.storage.dvc_cache import is_within

_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""What the files of the formats that are read begin with."""
_LONGEST_PATH = 4096


def picture_of(value: Any, where: str, folder: Path, store: PictureStore) -> str:
    """Store the picture of a cell of the column ``image``; return its hash, "" where the cell is empty.

    The cell holds bytes, Base64 of them, a path under ``folder``, or a struct {bytes, path} with one of the two. Bytes
    of length zero are no empty cell: they are what a failed download leaves.

    Raises BadRow: the path leads out of the folder or to no file, or it is no usable picture.
    """
    if isinstance(value, dict):
        content, path = value.get("bytes"), value.get("path")
        if not {"bytes", "path"} & set(value):
            raise BadRow(where, "image", "picture", f"found {str(value)[:40]!r}; expected {{bytes, path}}.")
        value = path if content is None else content or b""
    if value is None or value == "":
        return ""
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if isinstance(value, str):
        value = _decoded(value) or _bytes_at(value, where, folder)
    if not isinstance(value, bytes):
        raise BadRow(where, "image", "picture", f"found {str(value)[:40]!r}; expected bytes, or a path to a picture.")
    return take_picture(value, where, "image", store)


def _decoded(text: str) -> bytes | None:
    """Return the picture that ``text`` is the Base64 of, with or without ``data:…;base64,``; None where it is none."""
    marked = re.match(r"data:[\w/+.-]*;base64,", text[:100])
    packed = re.sub(r"\s+", "", text[marked.end() if marked else 0 :]).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        content = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if marked or content.startswith(_PICTURES) else None


def _bytes_at(path: str, where: str, folder: Path) -> bytes:
    shown = path if len(path) <= 80 else f"{path[:80]}…"
    root = folder.resolve()
    if len(path) > _LONGEST_PATH:
        message = (
            f"'{shown}' has {len(path)} characters: no path, and no Base64 of a picture. Expected a path under "
            f"{folder}; or complete the Base64."
        )
        raise BadRow(where, "image", "path", message)
    try:
        target = _spelt_on_disk(root, path, where)
        if Path(path).is_absolute() or ".." in Path(path).parts or not is_within(target, folder):
            message = f"'{shown}' leads out of the data folder; give a path under {folder}, no link."
            raise BadRow(where, "image", "path", message)
        if not target.is_file():
            raise BadRow(where, "image", "path", f"no file '{shown}' under {folder}; add it or correct the path.")
        return target.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) and (problem := system_error(error)):
            raise problem from None
        reason = getattr(error, "strerror", None) or str(error)[:80]
        raise BadRow(where, "image", "path", f"'{shown}' can't be read ({reason}); correct the path.") from None


def _spelt_on_disk(root: Path, path: str, where: str) -> Path:
    """Return the file that ``path`` names, also where the disk spells the name in another way, as NFC and NFD.

    Raises BadRow: several files are spelt so.
    """
    if (root / path).exists() or Path(path).is_absolute() or ".." in Path(path).parts:
        return root / path
    target = root
    for part in Path(path).parts:
        step = target / part
        if not step.exists() and target.is_dir():
            alike = sorted(p for p in target.iterdir() if canonical_text(p.name) == canonical_text(part))
            if len(alike) > 1:
                names = " and ".join(with_code_points(one.name) for one in alike)
                message = f"{with_code_points(part)} could be {names} in {target}; rename one of them."
                raise BadRow(where, "image", "path", message)
            step = alike[0] if alike else step
        target = step
    return target
