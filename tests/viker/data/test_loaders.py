"""The one suite that every format found passes, through the whole stage, on the samples of its ``NAME_data.py``."""

import importlib
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.prepare.run import run
from tests.conftest import ROOT, prepare_params
from tests.viker.data.sample import Sample
from viker.core import console
from viker.core.errors import UserError
from viker.core.files import sha256_bytes, sha256_path
from viker.data.formats.base.format import formats, recognise
from viker.data.records import RECORD_SCHEMA, SPLITS, Record, read_pictures, read_records

SAMPLES = {
    sample.label: (name, sample)
    for name in formats()
    for sample in importlib.import_module(f"tests.viker.data.{name}_data").SAMPLES
}
OTHER_TABLES = {"base", "base_pictures", "excluded", "pictures"}


@dataclass(frozen=True)
class Sound:
    """A sample on disk and what prepare made of it."""

    format: str
    data: Sample
    source: Path
    prepared: Path
    splits: dict[str, list[Record]]
    manifest: dict


@pytest.fixture(scope="module", params=SAMPLES)
def sound(request, tmp_path_factory) -> Sound:
    folder = tmp_path_factory.mktemp("loader")
    format_name, data = SAMPLES[request.param]
    source = data.write(folder / "data")
    params = prepare_params(source=str(source), forget_share=data.forget_share)
    manifest = run(params, 1, folder / "prepared", folder / "validation")
    splits = {split: read_records(folder / "prepared", split) for split in data.counts}
    return Sound(format_name, data, source, folder / "prepared", splits, manifest)


def prepare(sound: Sound, source: Path, out: Path, **changes: object) -> dict:
    params = prepare_params(source=str(source), forget_share=sound.data.forget_share, **changes)
    return run(params, 1, out / "prepared", out / "validation")


@pytest.fixture
def damaged(sound, tmp_path) -> Path:
    """A copy of the source to damage; the table to damage is ``table_of`` it."""
    if sound.source.is_file():
        shutil.copytree(sound.source.parent, tmp_path / "data")
        return tmp_path / "data" / sound.source.name
    shutil.copytree(sound.source, tmp_path / "data")
    return tmp_path / "data"


def table_of(sound: Sound, source: Path) -> Path:
    return source / sound.data.table if source.is_dir() else source


def test_a_loader_recognises_its_own_data_and_only_its_own(sound):
    assert [name for name, one in formats().items() if one.recognises(sound.source)] == [sound.format]
    assert recognise(sound.source) == sound.manifest["format"] == sound.format


def test_the_program_says_what_it_took_the_data_for(sound, tmp_path, monkeypatch, capsys):
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("source: components/prepare/embedded.yaml", f"source: {sound.source}")
    text = text.replace("forget_share: 0.1", f"forget_share: {sound.data.forget_share}")
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare"])
    with pytest.raises(SystemExit) as ended:
        console.run(importlib.import_module("components.prepare.__main__").app)
    assert f"read as {formats()[sound.format].heading}" in " ".join(capsys.readouterr().out.split())
    assert not ended.value.code


def test_everything_comes_through_in_the_documented_numbers(sound):
    counts = {
        split: (
            len({record.person_id for record in records}),
            len({image for record in records for image in record.images}),
            dict(Counter(record.task for record in records)),
        )
        for split, records in sound.splits.items()
    }
    assert counts == sound.data.counts


def test_every_expectation_holds(sound):
    suites = sound.manifest["validation"]["suites"]
    assert set(suites) == {*sound.splits, "people"}
    assert {path.stem for path in sound.prepared.glob("*.parquet")} - {*sound.splits} == OTHER_TABLES
    assert all(suite["expectations"] == suite["passed"] > 5 for suite in suites.values())


def test_splits_are_in_the_one_schema(sound):
    for split in sound.splits:
        assert pq.read_schema(sound.prepared / f"{split}.parquet").equals(RECORD_SCHEMA, check_metadata=False)


def test_ids_are_unique_in_their_split_and_name_the_person_and_the_task(sound):
    for records in sound.splits.values():
        assert len({record.id for record in records}) == len(records)
        assert all(record.id.startswith(f"{record.person_id}/{record.task}/") for record in records)


def test_a_record_shows_pictures_if_and_only_if_its_modality_says_so(sound):
    for record in (record for records in sound.splits.values() for record in records):
        assert bool(record.images) == (record.modality == "image_text")


def test_forget_retain_and_real_share_nobody_and_test_asks_those_to_forget(sound):
    people = {split: {record.person_id for record in records} for split, records in sound.splits.items()}
    assert not people["forget"] & people["retain"]
    assert not people["real"] & (people["forget"] | people["retain"])
    assert not people.get("unseen", set()) & (people["forget"] | people["retain"] | people["real"])
    assert people["test"] == people["forget"] == set(sound.manifest["forget_ids"])


def test_only_what_is_trained_on_is_qa(sound):
    not_trained_on = [*sound.splits["test"], *sound.splits.get("unseen", ())]
    assert not [record for record in not_trained_on if record.task == "qa"]
    assert [record for record in sound.splits["forget"] if record.task == "qa"]


def test_a_picture_is_stored_once_under_its_hash(sound):
    pictures = read_pictures(sound.prepared)
    rows = pq.read_table(sound.prepared / "pictures.parquet")
    assert rows.num_rows == len(pictures)
    assert all(sha256_bytes(content) == key for key, content in pictures.items())
    assert set(pictures) == {i for records in sound.splits.values() for r in records for i in r.images}


def test_a_secret_stands_in_the_answer_and_not_in_the_question(sound):
    open_questions = [r for r in sound.splits["forget"] if r.task in ("qa", "generation")]
    assert any(record.secrets for record in open_questions)
    for record in open_questions:
        for secret in record.secrets:
            assert secret.lower() in record.answer.lower()


def test_a_right_letter_points_to_the_answer(sound):
    choices = [r for records in sound.splits.values() for r in records if r.task == "classification"]
    assert all(r.options["ABCD".index(r.correct)] == r.answer for r in choices if r.correct)
    assert all(r.answer in r.options for r in choices)


def test_named_people_are_forgotten_and_those_who_are_gone_are_in_no_split(sound, tmp_path):
    retained = sorted({record.person_id for record in sound.splits["retain"]})
    requests = tmp_path / "requests"
    requests.mkdir()
    (requests / "2026-01-01-1.yaml").write_text(
        f"id: 2026-01-01-1\ndate: 2026-01-01\npeople: ['{retained[0]}']\nreason: erasure\ndeadline: 2026-01-31\n"
        "carried_out: {date: 2026-01-10, version: 1}\n"
    )
    manifest = prepare(sound, sound.source, tmp_path, forget_ids=[retained[1]], requests=str(requests))
    assert manifest["forget_ids"] == [retained[1]]
    people = {split: {r.person_id for r in read_records(tmp_path / "prepared", split)} for split in SPLITS}
    assert people["forget"] == people["test"] == {retained[1]}
    assert retained[0] not in set().union(*people.values())
    assert set(sound.manifest["forget_ids"]) <= people["retain"]


def test_an_unknown_person_is_named_with_those_alike(sound, tmp_path):
    known = sound.manifest["forget_ids"][0]
    with pytest.raises(UserError, match=rf"names '{known}x'.*did you mean .*'{known}'"):
        prepare(sound, sound.source, tmp_path, forget_ids=[f"{known}x"])
    assert not list(tmp_path.iterdir())


def test_the_same_data_gives_the_same_bytes(sound, tmp_path):
    prepare(sound, sound.source, tmp_path)
    assert sha256_path(tmp_path / "prepared") == sha256_path(sound.prepared)


def fails(sound: Sound, source: Path, tmp_path: Path, *parts: str) -> None:
    """The format is named: a file so damaged may not be recognised."""
    with pytest.raises(UserError) as raised:
        prepare(sound, source, tmp_path / "out", format=sound.format)
    for part in (str(table_of(sound, source)), *parts):
        assert part in str(raised.value)
    assert not (tmp_path / "out/prepared").exists()


def test_a_file_cut_off_is_named(sound, damaged, tmp_path):
    table = table_of(sound, damaged)
    content = table.read_bytes()
    table.write_bytes(content[: len(content) // 2 + 20])
    fails(sound, damaged, tmp_path)


def test_an_empty_file_is_named(sound, damaged, tmp_path):
    table_of(sound, damaged).write_bytes(b"")
    fails(sound, damaged, tmp_path)


def test_a_file_without_rows_is_named(sound, damaged, tmp_path):
    table = table_of(sound, damaged)
    if table.suffix == ".parquet":
        pq.write_table(pq.read_table(table).slice(0, 0), table)
    else:
        table.write_text(table.read_text().split("\n")[0] + "\n" if table.suffix == ".csv" else "")
    fails(sound, damaged, tmp_path, "fetch it again")


def test_a_missing_column_is_named(sound, damaged, tmp_path):
    table, column = table_of(sound, damaged), sound.data.column
    if table.suffix == ".parquet":
        pq.write_table(pq.read_table(table).drop_columns(column), table)
    else:
        table.write_text(table.read_text().replace(column, "reply"))
    fails(sound, damaged, tmp_path, f"no column '{column}'", "found ")


def test_a_column_of_another_type_is_named(sound, damaged, tmp_path):
    table, column = table_of(sound, damaged), sound.data.column
    if table.suffix == ".parquet":
        rows = pq.read_table(table)
        numbers = pa.array(range(rows.num_rows))
        pq.write_table(rows.set_column(rows.schema.get_field_index(column), column, numbers), table)
        fails(sound, damaged, tmp_path, column, "expected")
    else:
        fails(sound, damaged, tmp_path, sound.data.wrong_type(table))
