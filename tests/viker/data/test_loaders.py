"""The one suite that every loader passes, through the whole stage; a new format joins by a line in ``DATA``.

Round trip of the data in ``write_mllmu``, ``clear_data``, ``umu_data`` and ``own_data``: people, pictures
and records of each task per split, in ``COUNTS``.
"""

import importlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from viker.data.formats.registry import FORMATS, recognise

from components.prepare.run import run
from tests.conftest import ROOT, prepare_params
from tests.viker.data import own_data, umu_data
from tests.viker.data.clear_data import write_clear
from viker.core import console
from viker.core.errors import UserError
from viker.core.files import sha256_bytes, sha256_path
from viker.data.records import RECORD_SCHEMA, SPLITS, Record, read_pictures, read_records
from viker.data.synthetic.generate import generate


@dataclass(frozen=True)
class Data:
    """One format's data: how to write it, its share to forget, a table to damage and a column of text in it."""

    format: str
    write: Callable[[Path], Path]
    forget_share: float
    table: str
    column: str


def write_mllmu(folder: Path) -> Path:
    """10 people, 3 pictures of each in Test_Set, 2 celebrities."""
    text = (ROOT / "components/prepare/embedded.yaml").read_text()
    for big, little in (("people: 40", "people: 10"), ("figures: 12", "figures: 2")):
        text = text.replace(big, little)
    folder.parent.mkdir(parents=True, exist_ok=True)
    description = folder.with_suffix(".yaml")
    description.write_text(text.replace("pictures: 2400", "pictures: 1").replace("scenes: 600", "scenes: 1"))
    generate(description, folder, seed=1, forget_share=0.1)
    shutil.rmtree(folder / "Base_Set")
    return folder


SHARD = "train-00000-of-00001.parquet"
DATA = {
    "mllmu": Data("mllmu", write_mllmu, 0.1, f"forget_10/{SHARD}", "ID"),
    "clear": Data("clear", write_clear, 0.1, "forget10+tofu/train-00000-of-00003.parquet", "question"),
    "umu": Data("umu", umu_data.write_umu, 0.05, f"forget_5/{SHARD}", "MM_QA"),
    "own csv": Data("records", own_data.write_own, 0.1, "questions.csv", "answer"),
    "own jsonl": Data("records", own_data.write_jsonl, 0.1, "", "answer"),
    "own parquet": Data("records", own_data.write_parquet, 0.1, "", "answer"),
}
OWN = {
    "forget": (1, 2, {"qa": 3, "generation": 3, "classification": 1}),
    "test": (1, 2, {"generation": 3, "classification": 1}),
    "retain": (9, 18, {"qa": 27, "generation": 27, "classification": 9}),
    "real": (0, 0, {}),
}
MLLMU = {"generation": 8, "cloze": 8, "classification": 8}
COUNTS = {
    "mllmu": {
        "forget": (1, 1, {"qa": 12} | MLLMU),
        "test": (1, 3, MLLMU),
        "retain": (9, 9, {"qa": 108} | {task: 9 * count for task, count in MLLMU.items()}),
        "real": (2, 2, {"qa": 24} | {task: 2 * count for task, count in MLLMU.items()}),
        "unseen": (8, 8, {task: 8 * count for task, count in MLLMU.items()}),
    },
    "clear": {  # 20 rows of TOFU a person, 3 pictures of which 2 are in the perturbed configurations
        "forget": (2, 6, {"qa": 46, "generation": 40, "caption": 4, "recognition": 4}),
        "test": (2, 4, {"caption": 4, "recognition": 4}),
        "retain": (18, 54, {"qa": 414, "generation": 360, "caption": 36, "recognition": 36}),
        "real": (5, 6, {"generation": 7}),
    },
    "umu": {
        "forget": (1, 1, {"qa": 4, "generation": 2, "cloze": 2, "classification": 2}),
        "test": (1, 1, {"generation": 4}),
        "retain": (19, 19, {"qa": 76, "generation": 38, "cloze": 38, "classification": 38}),
        "real": (3, 3, {"qa": 12, "generation": 6, "cloze": 6, "classification": 6}),
    },
    **dict.fromkeys(("own csv", "own jsonl", "own parquet"), OWN),
}

OTHER_TABLES = {"base", "base_pictures", "excluded", "pictures"}


@dataclass(frozen=True)
class Sound:
    """The data on disk and what prepare made of it."""

    data: Data
    source: Path
    prepared: Path
    splits: dict[str, list[Record]]
    manifest: dict


@pytest.fixture(scope="module", params=DATA)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def sound(name, tmp_path_factory) -> Sound:
    folder = tmp_path_factory.mktemp("loader")
    data = DATA[name]
    source = data.write(folder / "data")
    params = prepare_params(source=str(source), forget_share=data.forget_share)
    manifest = run(params, 1, folder / "prepared", folder / "validation")
    splits = {split: read_records(folder / "prepared", split) for split in COUNTS[name]}
    return Sound(data, source, folder / "prepared", splits, manifest)


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
    assert [name for name, loader in FORMATS.items() if loader.recognises(sound.source)] == [sound.data.format]
    assert recognise(sound.source) == sound.manifest["format"] == sound.data.format


def test_the_program_says_what_it_took_the_data_for(sound, tmp_path, monkeypatch, capsys):
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("source: components/prepare/embedded.yaml", f"source: {sound.source}")
    text = text.replace("forget_share: 0.1", f"forget_share: {sound.data.forget_share}")
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare"])
    with pytest.raises(SystemExit) as ended:
        console.run(importlib.import_module("components.prepare.__main__").app)
    names = {"mllmu": "MLLMU-Bench", "clear": "CLEAR", "umu": "UMU-Bench", "records": "your own table"}
    assert f"read as {names[sound.data.format]}" in " ".join(capsys.readouterr().out.split())
    assert not ended.value.code


def test_everything_comes_through_in_the_documented_numbers(name, sound):
    found = {
        split: (
            len({record.person_id for record in records}),
            len({image for record in records for image in record.images}),
            dict(Counter(record.task for record in records)),
        )
        for split, records in sound.splits.items()
    }
    assert found == COUNTS[name]


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


def test_a_right_letter_points_to_the_answer(name, sound):
    choices = [r for records in sound.splits.values() for r in records if r.task == "classification"]
    assert bool(choices) == (name != "clear")
    assert all(r.options["ABCD".index(r.correct)] == r.answer for r in choices)


def test_named_people_are_forgotten_and_those_who_are_gone_are_in_no_split(sound, tmp_path):
    kept = sorted({record.person_id for record in sound.splits["retain"]})
    requests = tmp_path / "requests"
    requests.mkdir()
    (requests / "2026-01-01-1.yaml").write_text(
        f"id: 2026-01-01-1\ndate: 2026-01-01\npeople: ['{kept[0]}']\nreason: erasure\ndeadline: 2026-01-31\n"
        "carried_out: {date: 2026-01-10, version: 1}\n"
    )
    manifest = prepare(sound, sound.source, tmp_path, forget_ids=[kept[1]], requests=str(requests))
    assert manifest["forget_ids"] == [kept[1]]
    people = {split: {r.person_id for r in read_records(tmp_path / "prepared", split)} for split in SPLITS}
    assert people["forget"] == people["test"] == {kept[1]}
    assert kept[0] not in set().union(*people.values())
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
        prepare(sound, source, tmp_path / "out", format=sound.data.format)
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
    elif table.suffix == ".jsonl":
        table.write_text(table.read_text().replace('"answer": "Size 30."', '"answer": 30'))
    else:
        table.write_text(table.read_text().replace('"[""In Oslo.""]"', "In Oslo."))
        column = "paraphrases"
    fails(sound, damaged, tmp_path, column, "expected" if table.suffix != ".jsonl" else "row 1")
