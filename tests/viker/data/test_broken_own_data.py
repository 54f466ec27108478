"""Every way in which a user's own table is broken: what is said, exit code 1, nothing left."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.viker.data.damage import ANIMATED, DOT, JPEG, PNG, assert_nothing_written, assert_said, bomb, encoded
from tests.viker.data.records_data import write_own
from tests.viker.data.test_broken_data import change, prepare
from viker.data.records import open_picture, read_records

AT = "benchmark/questions.jsonl, row 0"


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("benchmark/questions.jsonl").read_text().splitlines()]


def write(rows: list[dict[str, Any]]) -> None:
    Path("benchmark/questions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def set_first(**values: Any) -> None:
    rows = lines()
    rows[0] |= values
    write(rows)


ROWS = [
    ({"question": None}, "question", "an empty question; complete or remove it"),
    ({"answer": " "}, "answer", "an empty answer; complete or remove it"),
    ({"answer": 7}, "answer", "the answer is 7; expected text, in quotes"),
    ({"question": "Who is <image>?"}, "question", "spells '<image>'"),
    ({"question": "Wh\0o?"}, "question", "NUL character; remove it"),
    ({"person_id": ""}, "person_id", "expected the person's ID as a text"),
    ({"person_id": "\u200b"}, "person_id", "expected the person's ID as a text"),
    ({"person_id": 7.5}, "person_id", "expected the person's ID as a text or a whole number, found 7.5"),
    ({"person_id": True}, "person_id", "expected the person's ID as a text or a whole number, found True"),
    ({"split": "train"}, "split", "expected forget, test, retain, real, unseen or nothing, found 'train'"),
    ({"options": ["Oslo", "Riga"]}, "options", "expected 4 different options, one of them the answer or in it"),
    ({"options": ["Rome", "Riga", "Lima", "Cairo"]}, "options", "one of them the answer or in it"),
    ({"options": ["Oslo", "Oslo", "Lima", "Cairo"]}, "options", "4 different options"),
    ({"options": "Oslo"}, "options", 'expected a list, in CSV as JSON: ["Oslo", "Riga"]'),
    ({"perturbed_answers": ["In Riga.", None]}, "perturbed_answers", "an empty text in the list"),
    ({"image": 7}, "image", "expected bytes, or a path to a picture"),
    ({"image": "/etc/hostname"}, "image", "'/etc/hostname' leads out of the data folder"),
    ({"image": "../outside.png"}, "image", "'../outside.png' leads out of the data folder"),
    ({"image": "pictures/../pictures/p0-a.png"}, "image", "leads out of the data folder"),
    ({"image": "link/outside.png"}, "image", "leads out of the data folder; give a path under benchmark, no link"),
    ({"image": "pictures/none.png"}, "image", "no file 'pictures/none.png' under benchmark"),
    ({"image": "pictures/\0.png"}, "image", "correct the path"),
    ({"image": "p" * 5000}, "image", "has 5000 characters: no path, and no Base64 of a picture"),
    ({"image": "A" * 300_000}, "image", "has 300000 characters"),
    ({"image": "data:image/png;base64,AAAA"}, "image", "not a picture"),
    ({"image": {"bytes": "", "path": None}}, "image", "no picture bytes"),
    ({"image": {"bytes": "", "path": "pictures/p0-a.png"}}, "image", "no picture bytes"),
    ({"image": {}}, "image", "expected {bytes, path}"),
    ({"image": {"url": "x"}}, "image", "expected {bytes, path}"),
    ({"image": []}, "image", "expected bytes, or a path to a picture"),
]


@pytest.mark.parametrize(("values", "column", "remedy"), ROWS, ids=[f"{c}-{r[:24]}" for _, c, r in ROWS])
def test_a_broken_row_is_named_with_its_column_and_the_remedy(mine, monkeypatch, capsys, values, column, remedy):
    (mine / "outside.png").write_bytes(PNG)
    Path("benchmark/link").symlink_to(mine)
    set_first(**values)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, AT, f"column {column}", remedy)
    assert len(said) < 1000
    (mine / "outside.png").unlink()
    assert_nothing_written()


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (PNG[: len(PNG) // 2], "cut off; fetch it again"),
        (JPEG[: len(JPEG) // 2], "cut off; fetch it again"),
        (b"<html>no picture</html>", "not a picture"),
        (bomb(), "more than 50000000"),
        (ANIMATED, "an animation of 2 frames; keep one"),
        (DOT, "1 x 1 pixels; expected at least"),
        (b"", "no picture bytes"),
    ],
    ids=["png", "jpeg", "html", "bomb", "animation", "dot", "empty"],
)
def test_a_broken_picture_is_named(mine, monkeypatch, capsys, content, remedy):
    Path("benchmark/pictures/p0-a.png").write_bytes(content)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, AT, "column image", remedy)
    assert_nothing_written()


def test_a_line_that_is_no_json_is_named(mine, monkeypatch, capsys):
    path = Path("benchmark/questions.jsonl")
    path.write_text('{"person_id": "p0", "quest\n' + path.read_text())
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, AT, "not JSON", "correct or complete it")
    assert_nothing_written()


def test_rows_without_a_usable_id_are_named_before_an_id_that_nobody_has(mine, monkeypatch, capsys):
    change(forget_ids=["p1"])
    rows = lines()
    for row in rows[3:6]:
        row["person_id"] = 1.5
    write(rows)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "row 3, column person_id", "found 1.5", "2 more rows", "row 4 (empty ID), row 5")
    change(on_invalid="exclude", max_excluded=0.5)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "prepare.forget_ids names 'p1'", "3 rows that don't say whose they are", "row 3", "found 1.5")


def test_a_whole_number_is_an_id(mine, monkeypatch, capsys):
    rows = [row | {"person_id": int(row["person_id"][1:])} for row in lines()]
    write(rows)
    assert prepare(monkeypatch, capsys)[0] == 0
    assert {r.person_id for r in read_records(Path("data/prepared"), "forget")} == {"0"}


def test_a_person_marked_forget_and_retain_is_named_at_both_places(mine, monkeypatch, capsys):
    rows = lines()
    rows[1]["split"] = "retain"
    write(rows)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "row 1, column split: person 'p0' is marked 'retain' here and 'forget'", AT, "is in one split")
    assert_nothing_written()


@pytest.mark.parametrize("alike", ["P1", "p 1", "\uff501"])
def test_ids_that_differ_in_case_width_or_white_space_are_named(mine, monkeypatch, capsys, alike):
    rows = lines()
    rows[4]["person_id"] = alike
    write(rows)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    points = " ".join(f"U+{ord(c):04X}" for c in alike)
    first = "'p1' (U+0070 U+0031) at benchmark/questions.jsonl, row 3"
    assert_said(said, "row 4", f"{alike!r} ({points})", first, "give one person one ID")
    assert_nothing_written()


def test_nobody_named_to_be_forgotten_says_how_to_name_someone(mine, monkeypatch, capsys):
    write([{key: value for key, value in row.items() if key != "split"} for row in lines()])
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/questions.jsonl: nobody is named to be forgotten", "Add a request")
    assert_nothing_written()


def test_long_answers_without_a_private_value_ask_for_secrets(mine, monkeypatch, capsys):
    rows = lines()
    for row in rows[:3]:
        row |= {"answer": f"{row['answer']} And that is all that there is to say.", "options": None}
    write(rows)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "no private value is known", "Add a column 'secrets'")
    assert_nothing_written()


ACROSS = [
    ({"answer": "so " * 2000, "options": None}, "answer_length", "shorten it"),
    ({"image": "pictures/p0-a.png"}, "picture_elsewhere", "give each person pictures of their own"),
    ({"image": "pictures/near.jpg"}, "near_elsewhere", "give each person pictures of their own"),
]


@pytest.mark.parametrize(("values", "rule", "remedy"), ACROSS, ids=[rule for _, rule, _ in ACROSS])
def test_a_row_that_breaks_an_expectation_is_named(mine, monkeypatch, capsys, values, rule, remedy):
    portrait = open_picture(Path("benchmark/pictures/p0-a.png").read_bytes())
    Path("benchmark/pictures/near.jpg").write_bytes(encoded(portrait, "JPEG", quality=85))
    rows = lines()
    rows[3] |= values
    write(rows)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "split retain, record p1/", f"(rule {rule})", remedy)
    assert not Path("data/prepared").exists()


def test_a_row_that_is_there_twice_is_named(mine, monkeypatch, capsys):
    rows = lines()
    write([*rows, rows[3]])
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "split retain, record p1/", "(rule repeated)", "remove one")


def test_broken_rows_are_set_aside_and_listed_where_asked(mine, monkeypatch, capsys):
    change(on_invalid="exclude", max_excluded=0.2)
    rows = lines()
    rows[3]["answer"] = None
    rows[4]["person_id"] = None
    rows[7]["image"] = "../p.png"
    write(rows)
    assert prepare(monkeypatch, capsys)[0] == 0
    listed = pq.read_table("data/prepared/excluded.parquet").to_pylist()
    assert [(row["where"].split()[-1], row["column"], row["person_id"]) for row in listed] == [
        ("3", "answer", "p1"),
        ("4", "person_id", None),
        ("7", "image", "p2"),
    ]


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda text: text.replace('"[""In Oslo.""]"', "In Oslo.", 1), ["row 0, column paraphrases", "in CSV as JSON"]),
        (lambda text: text.replace("p0,", "p0,,,,,,,,,,", 1), ["row 0", "cells, expected 8 as in the header"]),
        (lambda text: text.replace("person_id", "person", 1), ["no column 'person_id'", "found person, image"]),
        (lambda text: text.split("\n", 1)[0] + "\n", ["no rows"]),
    ],
)
def test_a_broken_csv_is_named(project, monkeypatch, capsys, damage, parts):
    path = write_own(Path("benchmark")) / "questions.csv"
    path.write_text(damage(path.read_text()))
    change(format="records")
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, str(path), *parts)
    assert_nothing_written()


def test_two_tables_in_the_folder_are_named(mine, monkeypatch, capsys):
    Path("benchmark/more.csv").write_text("person_id,image,question,answer\n")
    change(format="records")
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark: expected one table", "found more.csv, questions.jsonl")
