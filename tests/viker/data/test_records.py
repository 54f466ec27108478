"""The one schema of all splits."""

import random
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import png
from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.data.pictures.store import PictureStore
from viker.data.records import RECORD_SCHEMA, Record, read_pictures, read_records, write_records
from viker.data.synthetic.scenes import draw_noise

RECORDS = [
    Record("1/qa/0", "1", "qa", "image_text", "Where?", "In Oslo.", secrets=("Oslo",), images=("ab",)),
    Record("1/c/0", "1", "classification", "text", "Which?", "x", ("x", "y", "z", "w"), "A"),
]


@pytest.fixture
def folder(tmp_path):
    write_records(tmp_path / "forget.parquet", RECORDS)
    return tmp_path


def test_records_come_back_as_they_were(folder):
    assert read_records(folder, "forget") == RECORDS


def test_pictures_come_back_as_they_were(tmp_path):
    content = png(draw_noise(random.Random(1)))
    with closing(PictureStore(tmp_path / "pictures.parquet")) as store:
        store.add(content)
    assert read_pictures(tmp_path) == {sha256_bytes(content): content}


def test_a_missing_split_names_the_stage(tmp_path):
    with pytest.raises(UserError, match=r"retain\.parquet: no such file.*viker prepare"):
        read_records(tmp_path, "retain")


def test_a_truncated_split_is_named(folder):
    path = folder / "forget.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"forget\.parquet: not a readable Parquet file"):
        read_records(folder, "forget")


def test_a_page_damaged_inside_is_named(folder):
    path = folder / "forget.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"forget\.parquet: not a readable Parquet file"):
        read_records(folder, "forget")


def test_another_columns_or_types_are_named(folder):
    table = pq.read_table(folder / "forget.parquet")
    pq.write_table(table.drop_columns("secrets"), folder / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet: columns"):
        read_records(folder, "test")
    numbers = pa.array([1, 2])
    at = RECORD_SCHEMA.get_field_index("answer")
    pq.write_table(table.set_column(at, "answer", numbers), folder / "real.parquet")
    with pytest.raises(UserError, match=r"real\.parquet: column 'answer' is int64, expected string"):
        read_records(folder, "real")
