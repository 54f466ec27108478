"""Every way in which UMU-Bench's cells and folders are broken: what is said, exit code 1, nothing left."""

from pathlib import Path

import pytest

from tests.viker.data.damage import assert_nothing_written, assert_said, put
from tests.viker.data.test_broken_data import change, edit, prepare
from viker.data.formats.base.intake import Intake
from viker.data.formats.umu import load
from viker.data.prompts import prompt_for, target_for

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


def test_the_forms_of_a_fact_have_one_key_and_the_options_no_letters(umu, tmp_path):
    splits = load(Path("benchmark"), 0.05, [], [], Intake(tmp_path, "fail", 0.0)).splits
    forms = [r for r in splits["forget"] if r.task == "classification"]
    assert [r.id for r in forms] == ["000/classification/1/image_text", "000/classification/1/text"]
    assert {(r.answer, r.correct) for r in forms} == {("Oslo", "")}
    listed = "- Oslo\n- Lima\n- Riga\n- Cairo\nAnswer with one entry of the list."
    assert {prompt_for(r).partition("\n")[2] for r in forms} == {listed}
    assert {target_for(r) for r in forms} == {"Oslo"}


def test_a_missing_configuration_of_umu_bench_names_those_that_are_there(umu, monkeypatch, capsys):
    change(forget_share=0.2)
    code, said = prepare(monkeypatch, capsys)
    assert code == 1
    assert_said(said, "benchmark/forget_20: no such configuration", "there: Full_Set, Real_Person_Set, forget_10")
    assert_nothing_written()
