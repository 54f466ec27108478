"""Random bytes and objects as a table of one's own: rows, or a user's error."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from viker.core.errors import UserError
from viker.data.formats import records
from viker.data.formats.base.intake import Intake

HEADER = b"person_id,image,question,answer,split,options\n"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("pictures/a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["person_id", "image", "question", "answer", "split", "options"]), VALUES)


def reads_or_refuses(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    try:
        records.recognises(folder)
        records.load(folder, 0.1, ["1"], [], Intake(folder, "exclude", 0.5))
    except UserError as error:
        assert str(error)


@given(st.binary(max_size=200), st.sampled_from([b"", b'{"person_id": "1", "question": "a", "answer": "b"}\n']))
@settings(max_examples=60)
def test_random_bytes_as_jsonl_are_rows_or_a_users_error(tmp_path_factory, noise, start):
    reads_or_refuses(tmp_path_factory.mktemp("noise"), "questions.jsonl", start + noise)


@given(st.lists(OBJECTS, max_size=4))
@settings(max_examples=60)
def test_random_objects_as_jsonl_are_rows_or_a_users_error(tmp_path_factory, objects):
    first = {"person_id": "1", "question": "a", "answer": "b"}
    content = "\n".join(map(json.dumps, [first, *objects])).encode()
    reads_or_refuses(tmp_path_factory.mktemp("noise"), "questions.jsonl", content)


@given(st.binary(max_size=200), st.sampled_from([b"", HEADER, HEADER + b"1,,a,b,,\n"]))
@settings(max_examples=60)
def test_random_bytes_as_csv_are_rows_or_a_users_error(tmp_path_factory, noise, start):
    reads_or_refuses(tmp_path_factory.mktemp("noise"), "questions.csv", start + noise)
