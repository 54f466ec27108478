"""Which irrelevant images stand in for the picture of each forget question."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from viker.core.errors import UserError
from viker.core.files import need_folder, new_file

ASSIGNED = "assigned.parquet"
ASSIGNED_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False, metadata={"doc": "a record of the forget split"}),
        pa.field("files", pa.list_(pa.string()), nullable=False, metadata={"doc": "its k images, sorted by name"}),
    ]
)
AGAIN = "Run 'viker sample' to make them again."


def write_assigned(folder: Path, assigned: Mapping[str, Sequence[str]]) -> None:
    """Write which images each record gets, one row per record."""
    rows = [{"record_id": record, "files": list(files)} for record, files in assigned.items()]
    with new_file(folder / ASSIGNED) as path:
        pq.write_table(pa.Table.from_pylist(rows, schema=ASSIGNED_SCHEMA), path)


def read_irrelevant(folder: Path) -> tuple[dict[str, bytes], dict[str, tuple[str, ...]]]:
    """Return the images by file name, in the order of their names, and for each record of the forget split its k names.

    Raises:
        UserError: the folder or a file is missing, or the assignment can't be read or names an image that isn't there.
    """
    pictures = {file.name: file.read_bytes() for file in sorted(need_folder(folder, "sample").glob("*.png"))}
    if not pictures:
        raise UserError(f"{folder}: no irrelevant image (*.png) here. {AGAIN}")
    path = folder / ASSIGNED
    try:
        columns = pq.read_table(path, schema=ASSIGNED_SCHEMA).to_pydict()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. {AGAIN}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable assignment ({str(error).splitlines()[0]}). {AGAIN}") from None
    assigned = {r: tuple(files) for r, files in zip(columns["record_id"], columns["files"], strict=True)}
    missing = sorted({file for files in assigned.values() for file in files} - set(pictures))
    if missing:
        raise UserError(f"{path}: names the image '{missing[0]}', which is not in {folder}. {AGAIN}")
    return pictures, assigned


def images_of(assigned: Mapping[str, tuple[str, ...]], record_ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the images of each record, in the order of ``record_ids``.

    Raises UserError: a record has none: the images were sampled for another forget split.
    """
    for record in record_ids:
        if record not in assigned:
            raise UserError(f"the forget record '{record}' has no irrelevant images: the data has changed. {AGAIN}")
    return [assigned[record] for record in record_ids]
