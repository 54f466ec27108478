"""The search looks into what files say, whatever it is packed in."""

import gzip
import io
import json
import sqlite3
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from components.privacy.removal import treat
from components.privacy.search import Finder, Traces
from viker.core.files import sha256_bytes
from viker.core.pseudonyms import pseudonym

NAME, PICTURE = "Zoë Quastel", b"\x89PNG a picture"
FINDER = Finder(Traces(frozenset({"017"}), frozenset({NAME}), frozenset({sha256_bytes(PICTURE)})))


def parquet(**columns) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", content)
    return buffer.getvalue()


def database(*statements: str) -> bytes:
    with sqlite3.connect(":memory:") as store:
        store.execute("PRAGMA secure_delete = OFF")
        store.execute("CREATE TABLE params (key TEXT, value TEXT)")
        for statement in statements:
            store.execute(statement)
        store.commit()
        return store.serialize()


TRACES = {
    "text": f"about {NAME.upper()}.".encode(),
    "escaped JSON": json.dumps({"a": f'"{NAME}"'}).encode(),
    "JSON in JSON": json.dumps({"a": json.dumps({"b": NAME})}).encode(),
    "parquet": parquet(answer=["nobody", f"{NAME} was born"] * 50),
    "parquet, an ID": parquet(person_id=["016", "017"]),
    "parquet, a record": parquet(record_id=["017/generation/3"]),
    "parquet, a picture": parquet(bytes=[PICTURE]),
    "parquet, a picture's hash": parquet(picture=[sha256_bytes(PICTURE)]),
    "gzip": gzip.compress(NAME.encode()),
    "zip": zipped(NAME.encode()),
    "parquet in zip": zipped(parquet(answer=[NAME])),
    "sqlite": database(f"INSERT INTO params VALUES ('a', '{NAME}')"),
    "sqlite, a table with quotes in its name": database(
        'CREATE TABLE "a""b" (k, v)', """INSERT INTO "a""b" VALUES ('prepare.forget_ids', '["017"]')"""
    ),
    "sqlite, a parameter": database("INSERT INTO params VALUES ('prepare.forget_ids', '[\"017\"]')"),
    "sqlite, deleted": database(
        "INSERT INTO params VALUES ('a', 'Zoë Quastel')", "INSERT INTO params VALUES ('b', 'x')", "DELETE FROM params"
    ),
    "YAML": b"people:\n- '016'\n- '017' # a comment\n",
    "YAML in a line": b'people: ["017"]',
    "manifest": json.dumps({"forget_ids": ["016", "017"]}, indent=2).encode(),
    "a line of JSON, an ID": b'{"step": 1}\n{"answer": "x", "person_id": "017"}\n',
    "JSON in JSON, an ID": json.dumps({"a": json.dumps({"person_id": "017"})}).encode(),
    "log": b"INFO record 017/qa/1: no answer",
    "picture": PICTURE,
}
HARMLESS = {
    "numbers": b'{"017": 3, "steps": [17, 017]}',
    "another's record": b"1017/qa/1 and 016/qa/17/",
    "an ID that begins alike": b'{"person_id": "017-b", "by": {"person_id": "0171"}}',
    "under another key": b'{"samples": "017", "other_person_id": "017"}',
    "part of a word": "Zoë Quastelle".encode(),
    "other columns": parquet(step=["017"], person_id=["016"]),
    "nothing": b"",
    "damaged": parquet(answer=["x"])[:40],
}


@pytest.mark.parametrize("kind", TRACES)
def test_a_trace_is_found_in(kind):
    assert FINDER.in_bytes(TRACES[kind])


@pytest.mark.parametrize("kind", HARMLESS)
def test_no_trace_is_found_in(kind):
    assert not FINDER.in_bytes(HARMLESS[kind])


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_table_loses_the_rows_and_keeps_the_others(tmp_path):
    path = write(tmp_path, "a.parquet", parquet(person_id=["016", "017"], answer=["x", "y"]))
    assert treat(path, FINDER, whole=False) == "rewritten"
    assert pd.read_parquet(path).to_dict("list") == {"person_id": ["016"], "answer": ["x"]}


def test_a_table_of_nobody_else_goes(tmp_path):
    path = write(tmp_path, "a.parquet", parquet(person_id=["017"]))
    assert treat(path, FINDER, whole=False) == "removed" and not path.exists()


def test_lists_of_people_get_pseudonyms_and_keep_their_comments(tmp_path):
    path = write(tmp_path, "a.yaml", b"# mine\npeople: ['016', '017'] # two\nid: 17\n")
    assert treat(path, FINDER, whole=False) == "rewritten"
    assert path.read_text() == f"# mine\npeople: ['016', {pseudonym('017')}] # two\nid: 17\n"


def test_ids_in_json_get_pseudonyms_under_keys_of_people_alone(tmp_path):
    text = {"person_id": "017", "people": ["016", "017"], "by": [{"person_id": "017"}], "samples": "017", "n": 17}
    path = write(tmp_path, "a.json", json.dumps(text).encode())
    assert treat(path, FINDER, whole=False) == "rewritten"
    other = pseudonym("017")
    hidden = text | {"person_id": other, "people": ["016", other], "by": [{"person_id": other}]}
    assert path.read_text() == json.dumps(hidden, indent=2, sort_keys=True) + "\n"


def test_a_damaged_json_goes(tmp_path):
    path = write(tmp_path, "a.json", f'{{"note": "{NAME}'.encode())
    assert treat(path, FINDER, whole=False) == "removed" and not path.exists()


def test_records_lose_the_lines_that_tell_and_keep_the_others_to_the_byte(tmp_path):
    other = b'{"step": 1}\r\n{"step": 2}\n'
    path = write(tmp_path, "records.jsonl", other + json.dumps({"person_id": "017"}).encode() + b"\n" + other)
    assert treat(path, FINDER, whole=False) == "rewritten"
    assert path.read_bytes() == 2 * other


def test_a_value_beside_the_persons_id_is_hidden_too_and_a_third_is_not(tmp_path):
    """MLflow's tables hold a key, its value, and the run's ID."""
    rows = [("prepare.forget_ids", "['017']", "r1"), ("samples", "017", "r1"), ("prepare.forget_ids", "['016']", "r2")]
    filled = (f'INSERT INTO tags VALUES ("{key}", "{value}", "{run}")' for key, value, run in rows)
    path = write(tmp_path, "mlflow.db", database("CREATE TABLE tags (key TEXT, value TEXT, run TEXT)", *filled))
    assert treat(path, FINDER, whole=False) == "rewritten"
    with sqlite3.connect(path) as store:
        left = store.execute("SELECT * FROM tags").fetchall()
    assert left == [("prepare.forget_ids", "***", "r1"), *rows[1:]]


def test_a_database_keeps_its_other_rows_and_no_free_page_with_a_trace(tmp_path):
    rows = [f"INSERT INTO params VALUES ('{key}', '{value}')" for key, value in (("a", NAME), ("b", "x"))]
    path = write(tmp_path, "mlflow.db", database(*rows))
    assert treat(path, FINDER, whole=False) == "rewritten"
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT * FROM params").fetchall() == [("a", "***"), ("b", "x")]


@pytest.mark.parametrize("whole", [True, False])
def test_what_can_not_be_rewritten_goes(tmp_path, whole):
    path = write(tmp_path, "a.txt" if not whole else "a.json", json.dumps({"note": NAME}).encode())
    assert treat(path, FINDER, whole) == "removed" and not path.exists()
