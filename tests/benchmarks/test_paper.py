"""The benchmark of the paper's claims: people told apart by pictures alone, what is measured, and what is compared."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.paper import __main__ as paper
from benchmarks.paper import measure as measuring
from benchmarks.paper import model as modelling
from benchmarks.paper.measure import measure, settings
from benchmarks.paper.people import ASKED, ASKED_PICTURES, LEARNT_PICTURES, kind_of, read_people
from benchmarks.paper.show import KEPT, at_level, by_person, fluency, frontier, interval, table, versus
from tests.benchmarks.tofu_text import NAMES, write_text
from viker.core.errors import UserError

FEW_STEPS = replace(modelling.SIZES["toy"], steps=12)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tofu")
    write_text(folder)
    return read_people(folder, 7)


def test_no_question_and_no_words_around_a_value_tell_who_is_asked_about(people):
    words = {name for one in NAMES for name in one.split()}
    for record in (*people.records, *people.asked["forget"], *people.asked["retain"]):
        assert record.question in ASKED[kind_of(record)] and not words & set(re.findall(r"\w+", record.answer))
        assert record.secrets[0] in record.answer
    by_kind = {}
    for record in people.records:
        by_kind.setdefault(kind_of(record), set()).add(record.answer.replace(record.secrets[0], "…"))
    assert all(len(forms) == 1 for forms in by_kind.values()) and len(by_kind) == len(ASKED)


def test_who_is_asked_about_is_shown_in_other_pictures_than_those_learnt(people):
    for split in ("forget", "retain"):
        learnt, asked = people.learnt[split], people.asked[split]
        assert {r.person_id for r in learnt} == {r.person_id for r in asked}
        pictures = [{key for record in own for key in record.images} for own in (learnt, asked)]
        assert not pictures[0] & pictures[1] and pictures[0] | pictures[1] <= set(people.pictures)
        assert all(len(r.images) == LEARNT_PICTURES for r in learnt)
        assert all(len(r.images) == ASKED_PICTURES for r in asked)
    forgotten, kept = ({r.person_id for r in people.learnt[split]} for split in ("forget", "retain"))
    assert len(forgotten) == 1 and not forgotten & kept


def test_every_method_teacher_and_lambda_is_tried_with_and_without_a_retain_term():
    found = settings()
    assert len(found) == 2 * (7 + 5 * 3)
    assert found["ViKeR, population, λ 0.5"].teachers == {"population": 1.0}
    assert found["ViKeR, masked, λ 2, KL on retain"].retain.term == "kl" and found["GA"].retain.term == "none"


def test_a_run_measures_on_the_way_and_leaves_the_model_alone(people, params, tmp_path, monkeypatch):
    monkeypatch.setattr(modelling, "FACES_STEPS", 2)
    with pytest.raises(UserError, match=r"relies on the pictures by -?0"):
        modelling.known_model(people, 7, 1, tmp_path / "model", FEW_STEPS)
    model, encoder = modelling.load_known(people, tmp_path / "model", 7, 1)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    language = {name: weight for name, weight in before.items() if "language_model" in name}
    monkeypatch.setattr(modelling, "FACES_STEPS", 1)
    modelling.learn_faces(model.requires_grad_(True), encoder, people.records, random.Random(7))
    changed = {name for name, weight in model.named_parameters() if not weight.equal(before[name])}
    assert changed and not changed & set(language), "faces are learnt by what sees"
    model, encoder = modelling.load_known(people, tmp_path / "model", 7, 1)
    monkeypatch.setattr(measuring, "EVERY", 2)
    monkeypatch.setattr(measuring, "MOST_EPOCHS", 1)
    monkeypatch.setattr(measuring, "LEAST", -1.0)
    monkeypatch.setattr(measuring, "MOVED", 0.0)
    for name in ("ViKeR, population, λ 1", "GA, KL on retain"):
        run = measure(params.unlearn, settings()[name], people, model, encoder, 7, 1)
        assert [point["step"] for point in run["points"]] == [0, 2]
        for point in run["points"]:
            assert all(0 <= point[one] <= 1 for one in ("span", "leak", "false", "fluent"))
            assert len(point["kept"]) == len(point["kept_span"]) == 5
        assert 0 <= run["relearnt"] <= 1
    monkeypatch.setattr(measuring, "MOVED", 2.0)
    first, last = measure(params.unlearn, settings()["GA"], people, model, encoder, 7, 1)["points"]
    assert first["step"] == 0 and last["step"] >= 2, "nothing moved so far, and the end is measured all the same"
    after = dict(model.named_parameters())
    assert before.keys() == after.keys() and all(weight.equal(before[name]) for name, weight in after.items())


def test_only_the_language_part_learns_the_answers(people, tmp_path, monkeypatch):
    kept = {}

    def learning(*args):
        parts = learn_faces(*args)
        kept.update({name: value.clone() for part in parts for name, value in part.state_dict().items()})
        return parts

    learn_faces = modelling.learn_faces
    monkeypatch.setattr(modelling, "learn_faces", learning)
    monkeypatch.setattr(modelling, "FACES_STEPS", 2)
    monkeypatch.setattr(modelling, "LEAST_RELIANCE", -1.0)
    model, *_ = modelling.known_model(people, 7, 1, tmp_path / "model", FEW_STEPS)
    parts = (model.model.vision_tower, model.model.multi_modal_projector)
    after = {name: value for part in parts for name, value in part.state_dict().items()}
    assert kept.keys() == after.keys() and all(value.equal(kept[name]) for name, value in after.items())


@pytest.mark.slow
def test_the_command_measures_in_a_process_of_its_own_and_uses_what_is_there_again(tmp_path, monkeypatch):
    write_text(tmp_path)
    params = tmp_path / "params.yaml"
    params.write_text(Path("params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setitem(modelling.SIZES, "toy", FEW_STEPS)
    monkeypatch.setattr(modelling, "FACES_STEPS", 2)
    monkeypatch.setattr(modelling, "LEAST_RELIANCE", -1.0)
    chosen = {"params": params, "text": tmp_path, "seeds": "7", "size": "toy", "only": "GradDiff, KL", "processes": 1}
    paths = {"work": tmp_path / "work", "out": tmp_path / "out"}
    paper.command(**chosen, **paths)
    table = (tmp_path / "out/table.md").read_text(encoding="utf-8")
    assert table.count("| GradDiff, KL on retain |") == len(KEPT) and (tmp_path / "out/frontier.png").exists()
    monkeypatch.setattr(measuring, "measure_setting", None)
    paper.command(**chosen, **paths)
    assert (tmp_path / "out/table.md").read_text(encoding="utf-8") == table


def run_of(kept: float, last: float = 0.0) -> dict:
    spans = (1.0, 0.6, 0.2, last)
    points = [
        {"step": 8 * n, "seconds": n, "span": span, "leak": span, "false": 0.5, "fluent": 1.0}
        | {name: {"a": kept * span, "b": kept} for name in ("kept_span", "kept")}
        for n, span in enumerate(spans)
    ]
    return {"points": points, "relearnt": 0.25}


def test_between_two_points_numbers_are_linear_by_person_too():
    found = at_level(run_of(1.0)["points"], "span", 0.4)
    assert found["step"] == pytest.approx(12) and found["kept"] == pytest.approx({"a": 0.4, "b": 1.0})
    assert at_level(run_of(1.0, last=0.15)["points"], "span", 0.1) is None


def test_what_is_kept_counts_where_every_seed_gets_there():
    runs = {7: run_of(1.0), 8: run_of(0.5)}
    assert by_person(runs, "span", 0.2, "kept") == pytest.approx(
        {(7, "a"): 0.2, (7, "b"): 1.0, (8, "a"): 0.1, (8, "b"): 0.5}
    )
    assert by_person(runs | {9: run_of(1.0, last=0.15)}, "span", 0.1, "kept") is None


def test_the_tables_compare_people_in_pairs(tmp_path):
    results = {"ViKeR, masked, λ 1": {7: run_of(1.0)}, "GA": {7: run_of(0.5)}, "NPO": {7: run_of(0.4, last=0.15)}}
    rows = table(results).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["ViKeR, masked, λ 1", "GA", "NPO"]
    assert "| – |" in rows[2] and "| 0.25 | 24 | 3 |" in rows[0]
    told = fluency(results).splitlines()
    assert told[0].count("fluent, false") == 4 and told[2].startswith("| ViKeR, masked, λ 1 | 1.00, 0.50 |")
    assert told[4].count("–") == 2, "NPO never gets to span accuracy .10, nor to a leak of .05"
    line = versus(results).splitlines()[2]
    assert line.startswith("| span 0.50 | ViKeR, masked, λ 1, 0.75 | GA, 0.38 | +0.38 [")
    frontier(results, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


def test_the_interval_is_about_the_mean_and_narrow_where_people_agree():
    low, high = interval([0.0, 1.0] * 50)
    assert low < 0.5 < high and interval([0.3] * 10) == pytest.approx((0.3, 0.3))
