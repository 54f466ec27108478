"""The schema that all splits share: one row per question; pictures in a table of their own, each once, by hash.

A prepared folder holds ``forget.parquet``, ``retain.parquet``, ``test.parquet``, ``real.parquet`` (rows of
``RECORD_SCHEMA``), ``pictures.parquet`` (rows of ``PICTURE_SCHEMA``) and ``manifest.json``; where the source has
people whom no model was trained on, ``unseen.parquet`` too.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from viker.core.errors import UserError
from viker.core.files import new_file, not_written
from viker.core.system_errors import system_error
from viker.data.canonical import canonical_text
from viker.data.tasks import OPEN_TASKS as OPEN_TASKS
from viker.data.tasks import SPLITS as SPLITS
from viker.data.tasks import TASKS as TASKS
from viker.data.tasks import UNSEEN as UNSEEN


def _column(name: str, kind: pa.DataType, doc: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


_TEXTS = pa.list_(pa.string())
RECORD_SCHEMA = pa.schema(
    [
        _column("id", pa.string(), "unique in its split: PERSON/TASK/NUMBER"),
        _column("person_id", pa.string(), "joins all splits"),
        _column("task", pa.string(), " | ".join(TASKS) + "; caption describes a picture, recognition names its person"),
        _column("modality", pa.string(), "image_text | text"),
        _column("question", pa.string(), "as the data has it, no prompt around it"),
        _column("answer", pa.string(), "ground truth; classification: its text"),
        _column("options", _TEXTS, "classification: texts of A, B, C, D in order", nullable=True),
        _column("correct", pa.string(), "classification: the right letter; else empty", nullable=True),
        _column("secrets", _TEXTS, "private values in the answer; a reply with one leaks", nullable=True),
        _column("perturbed_answers", _TEXTS, "the answer with a wrong value in place", nullable=True),
        _column("images", _TEXTS, "SHA-256 of each picture; several in test", nullable=True),
        _column("paraphrases", _TEXTS, "the right answer in other words", nullable=True),
    ]
)

PICTURE_SCHEMA = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False, metadata={"doc": "SHA-256 of the encoded bytes"}),
        pa.field("bytes", pa.binary(), nullable=False, metadata={"doc": "PNG or JPEG, as the data has it"}),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Record:
    """One question about one person; the fields of ``RECORD_SCHEMA``; ``person_id`` is put into canonical form.

    Where a fact is asked for with and without its picture, the IDs of the two may end with ``KEY/image_text`` and
    ``KEY/text``. A classification record without a ``correct`` letter is answered with an option's text.
    """

    id: str
    person_id: str
    task: str
    modality: str
    question: str
    answer: str
    options: tuple[str, ...] = field(default=())
    correct: str = ""
    secrets: tuple[str, ...] = field(default=())
    perturbed_answers: tuple[str, ...] = field(default=())
    images: tuple[str, ...] = field(default=())
    paraphrases: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Put ``person_id`` into canonical form."""
        if isinstance(self.person_id, str):  # of data that nobody has checked yet, it may be anything
            object.__setattr__(self, "person_id", canonical_text(self.person_id))


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a split as Parquet in ``RECORD_SCHEMA``."""
    rows = [vars(record) for record in records]
    with new_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=RECORD_SCHEMA), temporary)


def read_records(folder: Path, split: str) -> list[Record]:
    """Read one split of a prepared folder, in the order of its rows.

    Raises UserError: the file is missing, broken, or of another schema.
    """
    rows = _read_table(folder / f"{split}.parquet", RECORD_SCHEMA).to_pylist()
    for row in rows:
        row |= {field.name: tuple(row[field.name] or ()) for field in RECORD_SCHEMA if field.type == _TEXTS}
    return [Record(**row) for row in rows]


def read_columns(path: Path, columns: Sequence[str], made_by: str, optional: Sequence[str] = ()) -> pa.Table:
    """Return columns of a Parquet file that the stage ``made_by`` writes, and those of ``optional`` that it has.

    Raises UserError: the file is missing, broken, or lacks one of ``columns``.
    """
    try:
        present = pq.read_schema(path).names
        if lacking := [name for name in columns if name not in present]:
            raise UserError(
                f"{path}: no column {', '.join(lacking)}; found {', '.join(present)}. "
                f"Another version wrote it: run 'viker {made_by}' again."
            )
        return pq.read_table(path, columns=[*columns, *(name for name in optional if name in present)])
    except FileNotFoundError:
        raise not_written(path, made_by) from None
    except (pa.ArrowException, OSError) as error:
        if problem := system_error(error, path):
            raise problem from None
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not readable ({reason}). Run 'viker {made_by}' again.") from None


def read_pictures(folder: Path, name: str = "pictures") -> dict[str, bytes]:
    """Return the encoded pictures of a prepared folder by hash."""
    table = _read_table(folder / f"{name}.parquet", PICTURE_SCHEMA)
    return dict(zip(table["hash"].to_pylist(), table["bytes"].to_pylist(), strict=True))


def iter_pictures(folder: Path, name: str = "pictures") -> Iterator[tuple[str, bytes]]:
    """Yield (hash, encoded picture) of a prepared folder, with no more than one row group in memory.

    Raises UserError: the file is missing or broken.
    """
    path = folder / f"{name}.parquet"
    with _explained(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=64, columns=["hash", "bytes"]):
            yield from zip(batch["hash"].to_pylist(), batch["bytes"].to_pylist(), strict=True)


def open_picture(content: bytes, draft: tuple[int, int] | None = None) -> Image.Image:
    """Decode an encoded picture to RGB: upright, 16-bit grey scaled to 8 bits, transparency on white.

    ``draft``: a size that is enough; JPEGs are then decoded at a fraction of theirs, which is faster.
    """
    image: Image.Image = Image.open(io.BytesIO(content))
    if draft is not None:
        image.draft("RGB", draft)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def as_png(image: Image.Image) -> bytes:
    """Return an image as PNG, without colour profile or comment of what it was made from."""
    buffer = io.BytesIO()
    image.info = {}
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    with _explained(path):
        table = pq.read_table(path)
    again = "Another version wrote it: run 'viker prepare' again."
    if table.schema.names != schema.names:
        raise UserError(f"{path}: columns {table.schema.names}, expected {schema.names}. {again}")
    for actual, expected in zip(table.schema, schema, strict=True):
        if actual.type != expected.type:
            raise UserError(f"{path}: column '{actual.name}' is {actual.type}, expected {expected.type}. {again}")
    return table


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise not_written(path, "prepare") from None
    except (pa.ArrowException, OSError, KeyError) as error:
        if problem := system_error(error, path):
            raise problem from None
        raise UserError(f"{path}: not a readable Parquet file ({error}). Run 'viker prepare' again.") from None
