"""Every way in which UMU-Bench's cells and folders are broken: what is said, exit code 1, nothing left."""

import pytest

from tests.viker.data.damage import assert_nothing_written, assert_said, put
from tests.viker.data.test_broken_data import change, edit, prepare

CELLS = [
    ("MM_QA", '{"question": {"1": "Where', "not JSON"),
    ("MM_QA", None, "not JSON"),
    ("MM_QA", "[]", "the cell is '[]'; expected a JSON object"),
    ("MM_QA", '{"question": {"1": "W?"}, "answer": {}}', "the key '1' has a question or an answer, not both"),
    ("UM_QA", '{"question": {"1": "W?"}, "answer": {"1": null}}', "an empty answer; complete or remove it"),
    ("UM_QA", '{"question": {"1": "Is <image>?"}, "answer": {"1": "x"}}', "spells '<image>'"),
    ("Cloze", '{"muitimodal": {}}', "unimodal is 'None'; expected a JSON object"),
    ("Generation", '{"muitimodal": {"1": {"question": "W?"}}, "unimodal": {}}', "an empty answer"),
    (
        "Classify",
        '{"muitimodal": {"1": {"question": "W?", "options": {"A": "x"}, "answer": "E"}}, "unimodal": {}}',
        "the answer is 'E', which options lacks; expected one of A, B, C, D",
    ),
    ("Classify", "(" * 5000, "not JSON"),
]


@pytest.mark.parametrize(("column", "cell", "remedy"), CELLS)
def test_a_broken_cell_of_umu_bench_is_named(umu, monkeypatch, capsys, column, cell, remedy):
    edit("forget_5", 0, put(column, cell))
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/forget_5/train-00000-of-00001.parquet, row 0", f"column {column}", remedy)
    assert_nothing_written()


def test_a_missing_configuration_of_umu_bench_names_those_that_are_there(umu, monkeypatch, capsys):
    change(forget_share=0.1)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/forget_10: no such configuration", "there: Full_Set, Real_Person_Set, forget_5")
    assert_nothing_written()
