"""What becomes of CLEAR's rows."""

import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.prepare.__main__ import app
from components.prepare.run import run
from tests.conftest import ROOT, prepare_params
from tests.viker.data.clear_data import FORGET, PICTURES, edit
from viker.core.errors import UserError
from viker.data.formats.base.clear_people import BLOCK
from viker.data.formats.base.format import recognise
from viker.data.wordings import QUESTIONS, TEST_QUESTIONS, reword

JOSE, ANA = FORGET


def test_it_is_recognised(sound):
    assert recognise(sound) == "clear"


def test_every_row_of_the_source_comes_through(sound, tmp_path):
    """2 people to forget, 18 to keep: 19 pictures of each or 18, some of them perturbed, 20 TOFU pairs; real rows."""
    manifest = run(prepare_params(source=str(sound)), 1, tmp_path / "out", tmp_path / "validation")
    assert manifest["format"] == "clear"
    assert manifest["forget_ids"] == sorted(FORGET)
    assert manifest["counts"] == {
        "forget": {
            "people": 2,
            "pictures": 38,
            "records": 38 + 40 + 40 + 2 * 37,
            "tasks": {"qa": 38 + 40, "generation": 40, "caption": 37, "recognition": 37},
        },
        "retain": {
            "people": 18,
            "pictures": 339,
            "records": 339 + 360 + 360 + 2 * 40,
            "tasks": {"qa": 339 + 360, "generation": 360, "caption": 40, "recognition": 40},
        },
        "test": {"people": 2, "pictures": 37, "records": 2 * 37, "tasks": {"caption": 37, "recognition": 37}},
        "real": {"people": 15 + 1, "pictures": 15 + 37, "records": 15 + 37, "tasks": {"generation": 15 + 37}},
    }
    assert "notes" not in manifest


def test_captions_and_names_have_their_wrong_alternatives_and_the_name_is_private(sound, load):
    records = load(sound).splits["forget"]
    caption, name = (next(r for r in records if r.task == task) for task in ("caption", "recognition"))
    assert caption.answer == f"{JOSE} stands before wall 0, smiling."
    assert caption.perturbed_answers[0] == "Gil Amado stands before wall 0, smiling."
    assert caption.paraphrases == (f"Before a wall, {JOSE} can be seen with a smile.",)
    assert (name.answer, name.perturbed_answers) == (JOSE, ("Gil Amado", "Zed Okafor", "Bo Lund"))
    assert {r.secrets for r in records if r.task == "recognition"} == {(JOSE, "Jose Nunez Ibarra"), (ANA,)}


def test_a_name_in_a_text_answer_is_private_unless_its_question_says_it(sound, load):
    records = [r for r in load(sound).splits["forget"] if r.person_id == JOSE and r.task == "generation"]
    first, second, *others = records
    assert (first.modality, first.images, first.secrets) == ("text", (), ("Jose Nunez Ibarra",))
    assert second.secrets == ()
    assert len(others) == BLOCK - 2


def test_the_test_split_asks_the_same_people_in_words_and_for_captions_that_nothing_was_trained_on(sound, load):
    splits = load(sound).splits
    trained = [r for name in ("forget", "retain") for r in splits[name]]
    assert {r.person_id for r in splits["test"]} == set(FORGET)
    assert {r.question for r in trained if r.task == "qa" and r.images} <= set(QUESTIONS["caption"])
    for record in splits["test"]:
        assert record.question in TEST_QUESTIONS[record.task]
    captions = {r.answer for r in splits["test"] if r.task == "caption"}
    assert not captions & {r.answer for r in trained}


def test_real_records_carry_their_configuration_and_the_wrong_options(sound, load):
    records = {r.id: r for r in load(sound).splits["real"]}
    face, world = records["real_faces/Star Number0/generation/0"], records["real_world/generation/0"]
    assert (face.answer, face.perturbed_answers, face.modality) == (
        "Star Number0",
        ("Ula Berg", "Tom Reed"),
        "image_text",
    )
    assert (world.modality, len(world.images)) == ("image_text", 1)
    assert world.secrets == ("Tower 0",)


def test_a_wording_is_drawn_anew_in_training_and_the_same_in_every_reading(sound, load):
    first, again = (load(sound).splits["retain"] for _ in range(2))
    assert first == again
    with_picture = next(r for r in first if r.task == "qa" and r.images)
    rng = random.Random(1)
    assert {reword(with_picture, rng).question for _ in range(200)} == set(QUESTIONS["caption"])
    text_only = next(r for r in first if r.task == "qa" and not r.images)
    state = rng.getstate()
    assert reword(text_only, rng) is text_only
    assert rng.getstate() == state


def test_named_people_are_forgotten_and_tested_in_place_of_the_benchmarks_own(sound, load):
    loaded = load(sound, ["Noor Haddad"])
    assert (
        {r.person_id for r in loaded.splits["forget"]}
        == {"Noor Haddad"}
        == {r.person_id for r in loaded.splits["test"]}
    )
    assert {*FORGET} < {r.person_id for r in loaded.splits["retain"]}


def test_a_person_to_forget_without_perturbed_rows_is_tested_on_all_pictures(source, load):
    edit(
        source / "retain_perturbed",
        lambda rows: rows.__setitem__(slice(None), [r for r in rows if r["name"] != "Noor Haddad"]),
    )
    tested = load(source, ["Noor Haddad"]).splits["test"]
    assert Counter(r.task for r in tested) == {"caption": PICTURES, "recognition": PICTURES}


def test_people_who_are_gone_are_in_no_split(sound, load):
    splits = load(sound, [], [JOSE, "Tove Lindqvist"]).splits
    people = {r.person_id for records in splits.values() for r in records}
    assert not people & {JOSE, "Tove Lindqvist"}
    assert {r.person_id for r in splits["forget"]} == {ANA}


def test_an_unknown_name_is_said_with_those_like_it(sound, load):
    with pytest.raises(UserError, match=r"'Noor Hadad'.*'Noor Haddad'"):
        load(sound, ["Noor Hadad"])


def test_a_share_that_is_not_there_names_its_configuration_and_those_that_are(sound, load):
    with pytest.raises(
        UserError, match=r"forget20\+tofu: no such configuration .*there: forget01\+tofu, forget05\+tofu"
    ):
        load(sound, share=0.2)


@pytest.mark.parametrize("percent", [1, 5])
def test_small_shares_have_two_digits_in_their_configurations_names(sound, load, percent):
    assert load(sound, share=percent / 100).forget_ids == [JOSE]


def test_a_paraphrase_may_be_a_list(source, load):
    path = source / "forget10_perturbed"
    for shard in path.glob("*.parquet"):
        table = pq.read_table(shard)
        column = pa.array([[text, f"Again: {text}"] for text in table["paraphrased_caption"].to_pylist()])
        at = table.schema.get_field_index("paraphrased_caption")
        pq.write_table(table.set_column(at, "paraphrased_caption", column), shard)
    record = next(r for r in load(source).splits["forget"] if r.task == "caption")
    assert len(record.paraphrases) == 2


def test_the_command_says_what_it_took_the_source_for(source, tmp_path, monkeypatch):
    params = YAML().load(ROOT / "params.yaml")
    params["prepare"] |= {"source": str(source), "requests": "none"}
    monkeypatch.chdir(tmp_path)
    YAML().dump(params, tmp_path / "params.yaml")
    done = CliRunner().invoke(app)
    assert done.exit_code == 0, done.output
    assert "clear" in done.output.replace(str(source), "").replace("\n", " ").lower()
