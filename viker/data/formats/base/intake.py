"""What every format reads into: invalid rows are refused or excluded, pictures are checked and stored once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from viker.core.errors import UserError
from viker.core.files import new_file
from viker.data.pictures.cache import FingerprintCache
from viker.data.pictures.checks import Fingerprint
from viker.data.pictures.store import PictureStore
from viker.data.records import Record

EXCLUDED_SCHEMA = pa.schema(
    [
        pa.field("where", pa.string(), nullable=False, metadata={"doc": "file and row, or split and record"}),
        pa.field("column", pa.string(), nullable=False, metadata={"doc": "column, or task, that is wrong"}),
        pa.field("person_id", pa.string(), nullable=True),
        pa.field("rule", pa.string(), nullable=False, metadata={"doc": "the rule that the row breaks"}),
        pa.field("message", pa.string(), nullable=False, metadata={"doc": "what is wrong and what to do"}),
    ]
)


class BadRow(UserError):
    """A row that breaks a rule: ``where`` is file and row, ``message`` says what was expected and what to do."""

    def __init__(self, where: str, column: str, rule: str, message: str) -> None:
        """Give the place, the column, the rule (one word or two, for counting) and the remedy."""
        super().__init__(f"{where}, column {column}: {message}")
        self.where, self.column, self.rule, self.message = where, column, rule, message


@dataclass
class Benchmark:
    """The splits and the base samples as records, who is to be forgotten, and which splits may be empty.

    ``notes``: where the source is another edition than the usual one, each with what is left out or taken instead.
    """

    splits: dict[str, list[Record]]
    base: list[Record] = field(default_factory=list)
    forget_ids: list[str] = field(default_factory=list)
    may_lack: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


class Intake:
    """Pictures and excluded rows of one pass over a source; applies ``prepare.on_invalid``."""

    def __init__(
        self,
        folder: Path,
        on_invalid: Literal["fail", "exclude"],
        max_excluded: float,
        fingerprints: FingerprintCache | None = None,
    ) -> None:
        """Store pictures in ``folder``; exclude at most the share ``max_excluded`` of all rows.

        ``fingerprints`` of pictures are known from another run.
        """
        self.pictures = PictureStore(folder / "pictures.parquet", fingerprints)
        self.base_pictures = PictureStore(folder / "base_pictures.parquet", fingerprints)
        self.on_invalid, self.max_excluded = on_invalid, max_excluded
        self.rows = 0
        self.bad_rows: list[tuple[BadRow, str | None]] = []
        self.records = 0
        self.bad_records: list[tuple[BadRow, str | None]] = []

    @contextmanager
    def row(self, person_id: str | None = None) -> Iterator[None]:
        """Count a row; a ``BadRow`` raised in the block stops the stage, or excludes the row."""
        self.rows += 1
        try:
            yield
        except BadRow as bad:
            if self.on_invalid == "fail":
                raise
            self.bad_rows.append((bad, person_id))

    @property
    def excluded(self) -> list[dict[str, str | None]]:
        """The excluded, in ``EXCLUDED_SCHEMA``: rows of the source, then records that broke an expectation."""
        return [
            {"where": b.where, "column": b.column, "person_id": person, "rule": b.rule, "message": b.message}
            for b, person in self.bad_rows + self.bad_records
        ]

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """The fingerprints of the pictures that are stored, by SHA-256."""
        stored = self.pictures.known | self.base_pictures.known
        return {key: picture.fingerprint for key, picture in stored.items()}

    def close(self, path: Path) -> None:
        """Finish the pictures and write the list of excluded rows to ``path``.

        Raises UserError: more rows were excluded than ``max_excluded`` allows.
        """
        self.pictures.close()
        self.base_pictures.close()
        for bad, total, name in ((self.bad_rows, self.rows, "rows"), (self.bad_records, self.records, "records")):
            if len(bad) > self.max_excluded * total:
                raise UserError(
                    f"{len(bad)} of {total} {name} are invalid, more than prepare.max_excluded "
                    f"({self.max_excluded:g}) allows. The first: {bad[0][0]} "
                    "Correct the data, or raise prepare.max_excluded."
                )
        with new_file(path) as temporary:
            pq.write_table(pa.Table.from_pylist(self.excluded, schema=EXCLUDED_SCHEMA), temporary)
