"""Own tables as people have them: every common layout of Parquet and of text is read, hidden files are not."""

import base64
import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.viker.data.damage import NOISE, PNG, encoded, portrait
from tests.viker.data.records_data import LISTS, content, write_jsonl, write_own, write_parquet, write_pictures
from viker.core.errors import UserError
from viker.data.formats import records
from viker.data.formats.base.intake import BadRow, Intake
from viker.data.pictures.checks import BadPicture, check
from viker.data.records import open_picture


@pytest.fixture
def load(tmp_path):
    return lambda source: records.load(source, 0.1, [], [], Intake(tmp_path, "fail", 0.0)).splits


@pytest.fixture
def expected(load, tmp_path):
    return load(write_jsonl(tmp_path / "expected"))


LAYOUTS = {
    "dictionaries": lambda kind: pa.dictionary(pa.int32(), kind) if kind == pa.string() else kind,
    "views": lambda kind: {pa.string(): pa.string_view(), pa.binary(): pa.binary_view()}.get(kind, kind),
    "large": lambda kind: {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}.get(kind, kind),
    "large lists": lambda kind: pa.large_list(pa.string()) if kind == pa.list_(pa.string()) else kind,
    "list views": lambda kind: pa.list_view(pa.string()) if kind == pa.list_(pa.string()) else kind,
    "lists of views": lambda kind: pa.list_(pa.string_view()) if kind == pa.list_(pa.string()) else kind,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parquet_is_read_in_every_layout(load, tmp_path, layout, expected):
    path = write_parquet(tmp_path / "mine")
    table = pq.read_table(path)
    schema = pa.schema([(field.name, LAYOUTS[layout](field.type)) for field in table.schema])
    pq.write_table(pa.Table.from_pylist(table.to_pylist(), schema=schema), path)
    assert pq.read_schema(path) != table.schema
    assert load(path) == expected


def test_lists_of_a_fixed_size_and_whole_numbers_as_ids_are_read(load, tmp_path):
    rows = [
        {"person_id": n, "image": None, "question": "Where?", "answer": "In Oslo.", "split": "forget" if n else None}
        | {"options": ["Oslo", "Riga", "Lima", "Cairo"]}
        for n in range(2)
    ]
    schema = pa.schema(
        [("person_id", pa.int64()), ("image", pa.null()), *((n, pa.string()) for n in ("question", "answer", "split"))]
    ).append(pa.field("options", pa.list_(pa.string(), 4)))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "t.parquet")
    assert {r.person_id for r in load(tmp_path / "t.parquet")["forget"]} == {"1"}


@pytest.mark.parametrize("name", ["a-{}.parquet", "train-0000{}-of-00003.parquet", "part-{}-c000.snappy.parquet"])
def test_parquet_in_shards_is_one_table(load, tmp_path, expected, name):
    path = write_parquet(tmp_path / "mine")
    table = pq.read_table(path)
    path.unlink()
    for number in range(3):
        pq.write_table(table.slice(10 * number, 10), path.with_name(name.format(number)))
    path.with_name("._a-9.parquet").write_bytes(b"of a Mac")
    assert records.recognises(path.parent)
    assert load(path.parent) == expected


def test_a_missing_shard_and_another_table_are_named(load, tmp_path):
    path = write_parquet(tmp_path / "mine")
    path.rename(path.with_name("train-00001-of-00002.parquet"))
    with pytest.raises(UserError, match=r"shard 0 of 2 is missing"):
        load(path.parent)
    (path.parent / "train-00001-of-00002.parquet").rename(path.with_name("new.parquet"))
    pq.write_table(pq.read_table(path.with_name("new.parquet")), path.with_name("old.parquet"))
    with pytest.raises(UserError, match=r"expected one table .* found new\.parquet, old\.parquet"):
        load(path.parent)


def text_table(folder: Path, name: str, encoding: str, **options: Any) -> Path:
    write_pictures(folder)
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, list(content()[0]), **options)
    table.writeheader()
    for row in content():
        table.writerow(row | {name: json.dumps(row[name]) if row[name] else "" for name in LISTS})
    (folder / name).write_bytes(buffer.getvalue().encode(encoding))
    return folder / name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")])
def test_text_tables_are_read_in_every_encoding_and_with_every_delimiter(
    load, tmp_path, expected, encoding, name, delimiter
):
    path = text_table(tmp_path / "mine", name, encoding, delimiter=delimiter)
    assert records.recognises(path.parent)
    assert load(path.parent) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_lines_are_read_in_every_encoding_and_with_empty_lines(load, tmp_path, expected, encoding):
    path = write_jsonl(tmp_path / "mine")
    path.write_bytes((path.read_text().replace("\n", "\r\n") + "\n\n").encode(encoding))
    assert load(path) == expected


def test_another_encoding_is_said_with_what_it_may_be(load, tmp_path):
    path = write_own(tmp_path / "mine") / "questions.csv"
    path.write_bytes(path.read_text().replace("Ada", "Zoë").encode("latin-1"))
    with pytest.raises(UserError, match=r"row .* not readable as UTF-8.*another encoding, or is damaged"):
        load(path)


@pytest.mark.parametrize(
    "name", ["._t.csv", ".DS_Store", ".~lock.t.csv#", "~$t.csv", "#t.csv#", "Thumbs.db", ".t.csv.swp"]
)
def test_hidden_files_are_no_tables(load, tmp_path, expected, name):
    source = write_own(tmp_path / "mine")
    (source / name).write_bytes(codecs.BOM_UTF16_LE + b"Mac OS X")
    assert records.recognises(source)
    assert load(source) == expected


@pytest.mark.parametrize(
    "packed",
    [
        base64.b64encode(PNG).decode(),
        base64.encodebytes(PNG).decode(),
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        {"bytes": base64.b64encode(PNG).decode(), "path": None},
    ],
    ids=["plain", "lines", "of URLs", "data URI", "struct"],
)
def test_a_picture_in_base64_is_decoded(load, tmp_path, packed):
    path = write_jsonl(tmp_path / "mine")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["image"] = packed
    path.write_text("\n".join(map(json.dumps, rows)))
    assert load(path)["forget"][0].images


def test_a_large_picture_in_base64_is_read_from_csv(load, tmp_path):
    large = encoded(NOISE.resize((400, 400)), "BMP")
    source = write_own(tmp_path / "mine")
    text = (source / "questions.csv").read_text()
    (source / "questions.csv").write_text(text.replace("pictures/p0-a.png", base64.b64encode(large).decode()))
    assert load(source)["forget"][0].images


def test_half_a_picture_in_base64_is_not_repeated_in_the_message(load, tmp_path):
    path = write_jsonl(tmp_path / "mine")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["image"] = base64.b64encode(bytes(300_000)).decode()
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(BadRow, match="has 400000 characters: no path, and no Base64") as caught:
        load(path)
    assert len(str(caught.value)) < 500


def mpo(*sizes: tuple[int, int]) -> bytes:
    first, *others = [NOISE.resize(size) for size in sizes]
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=others, quality=95)
    return buffer.getvalue()


FILM = b"\0\0\0\x18ftypmp42" + bytes(100_000)
OF_PHONES = {
    "gain map": mpo((60, 40), (30, 20)),
    "two previews": mpo((60, 40), (30, 20), (15, 10)),
    "motion photo": encoded(NOISE.resize((60, 40)), "JPEG") + FILM,
    "film behind a gain map": mpo((60, 40), (30, 20)) + FILM,
    "progressive": encoded(NOISE.resize((60, 40)), "JPEG", progressive=True) + FILM,
}


@pytest.mark.parametrize("kind", OF_PHONES)
def test_pictures_of_phones_are_taken_as_their_first_picture(kind):
    check(OF_PHONES[kind])
    assert open_picture(OF_PHONES[kind]).size == (60, 40)


def test_a_cut_off_jpeg_is_refused_although_its_thumbnail_is_whole():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = encoded(NOISE, "JPEG")  # a maker's note with a picture in it
    whole = encoded(NOISE, "JPEG", exif=exif)
    assert whole.count(b"\xff\xd9") == 2
    check(whole)
    with pytest.raises(BadPicture, match="cut off"):
        check(whole[:-200])


def test_a_picture_of_a_kind_that_is_not_read_is_called_by_its_name():
    with pytest.raises(BadPicture, match="a picture in HEIC, which can't be read here; expected one of PNG, JPEG"):
        check(b"\0\0\0\x18ftypheic" + bytes(100))


class TestLinksOfDVC:
    """Links into DVC's cache are its own; others that lead out of the data are refused."""

    @pytest.fixture
    def repository(self, tmp_path) -> Path:
        write_own(tmp_path / "data/mine")
        (tmp_path / ".dvc").mkdir()
        return tmp_path

    def link(self, repository: Path, cache: Path) -> Path:
        picture = repository / "data/mine/pictures/p0-a.png"
        entry = cache / "files/md5/ab/cdef"
        entry.parent.mkdir(parents=True)
        entry.write_bytes(portrait(70))
        picture.unlink()
        picture.symlink_to(entry)
        return repository / "data/mine"

    def test_into_the_cache(self, load, repository):
        assert load(self.link(repository, repository / ".dvc/cache"))["forget"][0].images

    @pytest.mark.parametrize("name", ["config", "config.local"])
    @pytest.mark.parametrize("relative", [True, False])
    def test_into_a_cache_elsewhere(self, load, repository, tmp_path_factory, name, relative):
        cache = repository / "shared" if relative else tmp_path_factory.mktemp("cache")
        (repository / ".dvc" / name).write_text(f"[cache]\n    dir = {'../shared' if relative else cache}\n")
        assert load(self.link(repository, cache))["forget"][0].images

    def test_elsewhere(self, load, repository, tmp_path_factory):
        with pytest.raises(BadRow, match=r"'pictures/p0-a.png' leads out of the data folder"):
            load(self.link(repository, tmp_path_factory.mktemp("elsewhere")))

    def test_through_the_cache_to_elsewhere(self, load, repository, tmp_path_factory):
        source = self.link(repository, repository / ".dvc/cache")
        outside = tmp_path_factory.mktemp("elsewhere") / "x.png"
        outside.write_bytes(PNG)
        entry = repository / ".dvc/cache/files/md5/ab/cdef"
        entry.unlink()
        entry.symlink_to(outside)
        with pytest.raises(BadRow, match="leads out of the data folder"):
            load(source)
