"""Every way in which real data is broken: what is said, exit code 1, and nothing half-written."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.shared import change_params
from tests.viker.data.damage import (
    ANIMATED,
    DOT,
    JPEG,
    PNG,
    assert_nothing_written,
    assert_said,
    bomb,
    edit,
    encoded,
    put,
)
from tests.viker.data.mllmu_data import write_mllmu, write_unseen
from viker.core import console
from viker.data.formats.base.intake import Intake
from viker.data.formats.mllmu import load
from viker.data.records import open_picture, read_records

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_mllmu(tmp_path_factory.mktemp("sound") / "benchmark")


@pytest.fixture
def project(sound, tmp_path, monkeypatch) -> Path:
    """A folder with params.yaml and a benchmark to damage, in which the stage runs."""
    shutil.copytree(sound, tmp_path / "benchmark")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    change(source="benchmark")
    return tmp_path


def change(**values: object) -> None:
    change_params(Path("params.yaml"), prepare=values)


def prepare(monkeypatch, capsys) -> tuple[int, str]:
    app = importlib.import_module("components.prepare.__main__").app
    monkeypatch.setattr(sys, "argv", ["prepare"])
    with pytest.raises(SystemExit) as ended:
        console.run(app)
    return int(ended.value.code or 0), capsys.readouterr().err


AT = "benchmark/forget_10/train-00000-of-00001.parquet, row 0"


def ids_alike(row: dict[str, Any]) -> None:
    row["ID"] = "0 01" if row["ID"] != "001" else "00 2"


ROW_DAMAGE = [
    ("image", put("image", "bytes", PNG[: len(PNG) // 2]), "cut off; fetch it again"),
    ("image", put("image", "bytes", JPEG[: len(JPEG) // 2]), "cut off; fetch it again"),
    ("image", put("image", "bytes", b"<html>no picture</html>"), "not a picture; expected one of"),
    ("image", put("image", "bytes", bomb()), "more than 50000000"),
    ("image", put("image", "bytes", ANIMATED), "an animation of 2 frames; keep one"),
    ("image", put("image", "bytes", DOT), "1 x 1 pixels; expected at least"),
    ("image", put("image", {"bytes": None, "path": "../../etc/passwd"}), "no picture bytes"),
    ("Generation_Task", put("Generation_Task", 0, "Question", None), "an empty question; complete or remove it"),
    ("Generation_Task", put("Generation_Task", 0, "Ground_Truth", "  "), "an empty answer; complete or remove it"),
    ("Generation_Task", put("Generation_Task", 0, "Type", "Video"), "expected Image_Textual or Pure_Text"),
    ("Mask_Task", put("Mask_Task", 0, "Ground_Truth", "Os\0lo"), "NUL character; remove it"),
    ("Generation_Task", put("Generation_Task", 0, "Question", "Who is <image>?"), "spells '<image>'"),
    (
        "Classification_Task",
        put("Classification_Task", "Image_Textual_Questions", 0, "Correct_Answer", "E"),
        "Correct_Answer is 'E', which Options lacks; expected one of A, B, C, D",
    ),
    (
        "Classification_Task",
        put(
            "Classification_Task", "Image_Textual_Questions", 0, "Options", {"A": "x", "B": None, "C": None, "D": None}
        ),
        "which Options lacks",
    ),
]


@pytest.mark.parametrize(("column", "damage", "remedy"), ROW_DAMAGE)
def test_a_broken_row_is_named_with_its_column_and_the_remedy(project, monkeypatch, capsys, column, damage, remedy):
    edit("forget_10", 0, damage)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, AT, f"column {column}", remedy)
    assert_nothing_written()


def test_a_cut_off_picture_of_the_test_set_is_named(project, monkeypatch, capsys):
    forgotten = pq.read_table("benchmark/forget_10", columns=["ID"])["ID"][0].as_py()
    ids = [
        row["ID"] for path in sorted(Path("benchmark/Test_Set").glob("*")) for row in pq.read_table(path).to_pylist()
    ]
    edit("Test_Set", ids.index(forgotten), put("images", 1, "bytes", PNG[:60]))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "Test_Set", f"row {ids.index(forgotten)}", "column images")
    assert_nothing_written()


def test_invalid_json_in_metadata_is_named(project, monkeypatch, capsys):
    for number in range(pq.read_metadata(min(Path("benchmark/ft_Data").glob("*"))).num_rows):
        edit("ft_Data", number, put("metadata", '[{"Question": "Where?"'))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "ft_Data", "row", "column metadata", "not a JSON list of {Question, Answer}", "correct it")
    assert_nothing_written()


def test_an_id_in_forget_and_retain_is_named_at_both_places(project, monkeypatch, capsys):
    forgotten = pq.read_table("benchmark/forget_10", columns=["ID"])["ID"][0].as_py()
    edit("retain_90", 0, put("ID", forgotten))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "retain_90", "row 0", f"ID '{forgotten}' is also at {AT}", "a person is in one split")
    assert_nothing_written()


def test_ids_that_differ_in_white_space_are_named(project, monkeypatch, capsys):
    edit("retain_90", 0, ids_alike)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "retain_90", "only in case, width or white space", "U+0020", "give one person one ID")
    assert_nothing_written()


def test_a_forget_id_without_a_row_in_the_test_set_is_named(project, monkeypatch, capsys):
    forgotten = pq.read_table("benchmark/forget_10", columns=["ID"])["ID"][0].as_py()
    for path in Path("benchmark/Test_Set").glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.filter(pa.compute.not_equal(table["ID"], forgotten)), path)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/Test_Set", f"no row with ID '{forgotten}'", "add its row")
    assert_nothing_written()


@pytest.mark.parametrize("column", ["image", "Mask_Task"])
def test_a_missing_column_is_named_with_those_that_are_there(project, monkeypatch, capsys, column):
    path = Path("benchmark/forget_10/train-00000-of-00001.parquet")
    pq.write_table(pq.read_table(path).drop_columns(column), path)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, str(path), f"no column '{column}'", "found image, ID" if column != "image" else "found ID")
    assert_nothing_written()


def test_a_column_of_another_type_is_named_with_both_types(project, monkeypatch, capsys):
    path = Path("benchmark/forget_10/train-00000-of-00001.parquet")
    table = pq.read_table(path)
    at = table.schema.get_field_index("ID")
    pq.write_table(table.set_column(at, "ID", pa.array(range(table.num_rows))), path)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, str(path), "column 'ID' is int64, expected string")
    assert_nothing_written()


def test_an_empty_shard_is_named(project, monkeypatch, capsys):
    path = max(Path("benchmark/retain_90").glob("*.parquet"))
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, str(path), "an empty shard; fetch it again")
    assert_nothing_written()


def test_a_missing_shard_is_named(project, monkeypatch, capsys):
    (path,) = Path("benchmark/Retain_Set").glob("*.parquet")
    path.rename(path.with_name("train-00000-of-00002.parquet"))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/Retain_Set", "shard 1 of 2 is missing; fetch it again")
    assert_nothing_written()


def test_a_shard_cut_off_half_way_is_named(project, monkeypatch, capsys):
    path = Path("benchmark/forget_10/train-00000-of-00001.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, str(path), "not a readable Parquet file", "cut off, damaged, or of another kind")
    assert_nothing_written()


def double_answer(row: dict[str, Any]) -> None:
    row["Generation_Task"].append(row["Generation_Task"][0])


def long_answer(row: dict[str, Any]) -> None:
    row["Generation_Task"][0]["Ground_Truth"] = "so " * 2000


def picture_of_the_forgotten(row: dict[str, Any]) -> None:
    row["image"]["bytes"] = pq.read_table("benchmark/forget_10")["image"][0].as_py()["bytes"]


def near_picture_of_the_forgotten(row: dict[str, Any]) -> None:
    picture_of_the_forgotten(row)
    row["image"]["bytes"] = encoded(open_picture(row["image"]["bytes"]), "JPEG", quality=85)


ACROSS_ROWS = [
    (double_answer, "repeated", "remove one"),
    (long_answer, "answer_length", "shorten it"),
    (picture_of_the_forgotten, "picture_elsewhere", "give each person pictures of their own"),
    (near_picture_of_the_forgotten, "near_elsewhere", "give each person pictures of their own"),
]


@pytest.mark.parametrize(("damage", "rule", "remedy"), ACROSS_ROWS)
def test_a_row_that_breaks_an_expectation_is_named(project, monkeypatch, capsys, damage, rule, remedy):
    edit("retain_90", 1, damage)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "split retain, record", f"(rule {rule})", remedy, "validation/index.html")
    assert not Path("data").exists() or not list(Path("data").rglob("*"))
    assert Path("validation/index.html").exists()


def test_excluded_rows_are_counted_and_listed_with_the_rule(project, monkeypatch, capsys):
    change(on_invalid="exclude", max_excluded=0.5)
    edit("retain_90", 0, put("image", "bytes", PNG[:70]))
    edit("retain_90", 1, double_answer)
    edit("retain_90", 2, near_picture_of_the_forgotten)
    assert prepare(monkeypatch, capsys)[0] == 0
    listed = pq.read_table("data/prepared/excluded.parquet").to_pylist()
    counted = json.loads(Path("data/prepared/manifest.json").read_text())["excluded"]
    assert {"picture", "repeated", "near_elsewhere"} == set(counted)
    assert sum(counted.values()) == len(listed)
    assert {row["where"] for row in listed if row["rule"] == "picture"} == {
        "benchmark/retain_90/train-00000-of-00001.parquet, row 0"
    }
    out = {row["where"].split("record ")[-1] for row in listed}
    assert not out & {record.id for record in read_records(Path("data/prepared"), "retain")}


def test_more_exclusions_than_allowed_fail_with_the_first(project, monkeypatch, capsys):
    change(on_invalid="exclude", max_excluded=0.01)
    edit("retain_90", 0, put("image", "bytes", PNG[:70]))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "more than prepare.max_excluded (0.01)", "retain_90", "row 0", "raise prepare.max_excluded")
    assert not Path("data/prepared").exists()


def test_right_to_left_text_is_kept_as_it_is(project, intake):
    edit("forget_10", 0, put("Generation_Task", 0, "Question", "أين ولد هذا الشخص؟"))
    records = load(Path("benchmark"), 0.1, [], [], intake).splits["forget"]
    assert "أين ولد هذا الشخص؟" in {record.question for record in records}


@pytest.fixture
def intake(tmp_path) -> Intake:
    return Intake(tmp_path, "fail", 0.0)


def test_a_person_who_is_trained_on_cannot_be_among_the_unseen(project, monkeypatch, capsys):
    write_unseen(Path("benchmark"))
    known = pq.read_table("benchmark/ft_Data")["ID"][-1].as_py()
    edit("Unseen_Set", 0, put("ID", known))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/Unseen_Set", "row 0", f"'{known}' is trained on", "remove one of the two")
    assert_nothing_written()
