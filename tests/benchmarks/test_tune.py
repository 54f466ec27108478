"""The tables of ``make bench-tune``: what ``viker tune`` needs of a table of one's own."""

import csv
import json
from collections import Counter
from pathlib import Path

from benchmarks.tune.people import OWN, SHOWN, SPLITS, VALUES, read_people, write_table
from components.contract.params import Params
from components.prepare.run import run as prepare
from tests.benchmarks.tofu_text import NAMES, TRADES, write_text
from viker.gate.reachable import unreachable


def test_each_split_has_its_people_and_each_person_other_pictures_to_learn_from(tmp_path):
    people = read_people("own", tmp_path, 7)
    assert Counter(one.split for one in people) == dict(zip(SPLITS, OWN, strict=True))
    assert len({one.name for one in people}) == len(people)
    for one in people:
        assert len(set(one.shown)) == SHOWN + 1 and not set(one.shown) & set(one.trained_on)


def test_of_tofu_the_authors_have_the_values_in_their_text(tmp_path):
    write_text(tmp_path)
    people = read_people("tofu", tmp_path, 7)
    assert [one.name for one in people] == NAMES
    assert all(trade in one.facts["father"] for one, trade in zip(people, TRADES, strict=True))


def test_the_table_is_prepared_and_has_every_kind_of_question_that_default_judges(params: Params, tmp_path: Path):
    people = read_people("own", tmp_path, 7)
    write_table(people, tmp_path / "people")
    with (tmp_path / "people/people.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    learnt = [row for row in rows if row["split"] != "test"]
    assert len(learnt) == sum(OWN) * len(VALUES) * (SHOWN + 1)
    assert all(json.loads(row["secrets"])[0] in row["answer"] for row in rows)
    assert not {row["image"] for row in learnt if row["image"]} & {r["image"] for r in rows if r["split"] == "test"}
    section = params.prepare.model_copy(update={"source": str(tmp_path / "people")})
    prepare(section, 7, tmp_path / "prepared", tmp_path / "validation")
    assert unreachable(params.gate, tmp_path / "prepared", params.evaluate.in_force()) == []
