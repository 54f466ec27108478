"""Every expectation is there: data that breaks all rules fails them all, so that a rule that is removed is missed."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from tests.viker.data.damage import NOISE, encoded
from viker.core.errors import UserError
from viker.data.formats.base.intake import Benchmark, Intake
from viker.data.records import RECORD_SCHEMA, SPLITS, Record
from viker.data.validation.data_docs import validate
from viker.data.validation.expectations import FLAGS, SIZES

DISC = Image.radial_gradient("L").resize((64, 64)).convert("RGB")
TEXTS = [f.name for f in RECORD_SCHEMA if str(f.type) == "string"]
LISTS = [f.name for f in RECORD_SCHEMA if str(f.type) != "string"]
PEOPLE = ("forget_people", "retain_people", "forget_share", "fewest_questions")
ACROSS = ("untested_people", "people_in_both", "tested_but_kept")


@pytest.fixture
def intake(tmp_path) -> Intake:
    return Intake(tmp_path, "fail", 0.0)


def failed(loaded: Benchmark, intake: Intake, tmp_path) -> set[tuple[str, str]]:
    with pytest.raises(UserError, match=r"index\.html shows all results"):
        validate(loaded, intake, tmp_path / "validation")
    summary = json.loads((tmp_path / "validation/summary.json").read_text())
    return {(outcome["split"], outcome["name"]) for outcome in summary["expectations"] if not outcome["success"]}


def record(number: int, person: str, *images: str, **changes: object) -> Record:
    plain = Record(f"{person}/qa/{number}", person, "qa", "image_text", f"Where, {number}?", "In Oslo.", images=images)
    return replace(plain, **changes)


def test_a_retain_split_that_breaks_every_rule_fails_every_rule(intake, tmp_path):
    forget_picture = intake.pictures.add(encoded(DISC, "PNG"))
    near = intake.pictures.add(encoded(DISC, "JPEG", quality=95))
    retain_picture = intake.pictures.add(encoded(NOISE.rotate(90), "PNG"))
    thin, vast = (intake.pictures.add(encoded(NOISE.rotate(a), "PNG")) for a in (180, 270))
    intake.pictures.known[thin] = replace(intake.pictures.known[thin], width=3)
    intake.pictures.known[vast] = replace(intake.pictures.known[vast], width=10_000, height=10_000)
    texts, lists = dict.fromkeys(TEXTS, 5), dict.fromkeys(LISTS, "x")
    retain = [
        *[record(0, "kept", retain_picture), record(0, "kept", retain_picture)],
        *[
            record(1, "gone", retain_picture),
            record(2, "kept", forget_picture),
            record(3, "kept", near),
            record(4, "kept", "0" * 64),
        ],
        *[record(5, "kept", thin), record(6, "kept", vast)],
        record(7, "kept", task="classification", correct="A", options=("Lima", "Oslo", "", "")),
        record(8, "kept", answer="so " * 2000, question="so " * 2000),
        *[record(9, "kept", **texts), record(10, "kept", **lists), record(11, "kept", **dict.fromkeys(TEXTS))],
    ]
    forget = [record(0, "gone", forget_picture)]
    loaded = Benchmark({"forget": forget, "test": forget, "real": forget, "retain": retain}, forget_ids=["gone"])
    nulls = [f"expect_column_values_to_not_be_null({f.name})" for f in RECORD_SCHEMA if not f.nullable]
    types = [f"expect_column_values_to_be_of_type({name})" for name in RECORD_SCHEMA.names]
    sets = [f"expect_column_values_to_be_in_set({name})" for name in ("task", "modality", *FLAGS, "to_forget")]
    sizes = [f"expect_column_values_to_be_between({name})" for name in SIZES]
    expected = {*nulls, *types, *sets, *sizes, "expect_column_values_to_be_unique(id)"}
    assert {name for split, name in failed(loaded, intake, tmp_path) if split == "retain"} == expected


def test_empty_splits_and_people_in_the_wrong_one_fail_every_rule_across_splits(intake, tmp_path):
    def across(**splits: list[Record]) -> set[str]:
        loaded = Benchmark({split: splits.get(split, []) for split in SPLITS}, forget_ids=["gone"])
        return {name for split, name in failed(loaded, intake, tmp_path) if split == "people"}

    rules = {name: f"expect_column_values_to_be_between({name})" for name in (*PEOPLE, *ACROSS)}
    one, other = [record(0, "gone")], [record(0, "other")]
    assert across() == {rules["forget_people"], rules["retain_people"], rules["fewest_questions"]}
    wrong = across(forget=one + other, retain=one, test=[record(0, "kept")])
    assert wrong == {rules[name] for name in ("forget_share", "fewest_questions", *ACROSS)}


def test_an_empty_split_fails(intake, tmp_path):
    names = failed(Benchmark({split: [] for split in SPLITS}), intake, tmp_path)
    assert {(split, "expect_table_row_count_to_be_between") for split in SPLITS} <= names
