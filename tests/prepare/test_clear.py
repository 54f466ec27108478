"""CLEAR, read from a small one in its exact shape: what becomes of it, the join of TOFU's rows, damaged data."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from benchmarks.tofu.text import read_authors
from components.common.errors import UserError
from components.common.wordings import QUESTIONS, TEST_QUESTIONS, reword
from components.prepare import clear, formats
from components.prepare.__main__ import app
from components.prepare.clear_people import BLOCK, owners, who
from components.prepare.intake import Intake
from components.prepare.run import run
from tests.conftest import ROOT, prepare_params
from tests.prepare.clear_data import FORGET, RETAIN, edit, image, tofu_block, write_clear
from tests.prepare.damage import PNG, put

JOSE, ANA = FORGET
REAL = Path(__file__).parents[3] / "shared" / "data" / "tofu"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_clear(tmp_path_factory.mktemp("clear") / "clear")


@pytest.fixture
def source(sound, tmp_path) -> Path:
    shutil.copytree(sound, tmp_path / "clear")
    return tmp_path / "clear"


@pytest.fixture
def load(tmp_path):
    return lambda source, ids=(), gone=(), share=0.1: clear.load(
        source, share, ids, gone, Intake(tmp_path, "fail", 0.0)
    )


def test_it_is_recognised(sound):
    assert formats.recognise(sound) == "clear"


def test_every_row_of_the_source_comes_through(sound, tmp_path):
    """2 people to forget, 18 to keep; each 3 pictures, 2 of them perturbed, and 20 TOFU pairs; 4 + 3 real rows."""
    manifest = run(prepare_params(source=str(sound)), 1, tmp_path / "out", tmp_path / "validation")
    assert manifest["format"] == "clear"
    assert manifest["forget_ids"] == sorted(FORGET)
    assert manifest["counts"] == {
        "forget": {
            "people": 2,
            "pictures": 2 * 3,
            "records": 2 * (23 + 20 + 4),
            "tasks": {"qa": 2 * (3 + 20), "generation": 2 * 20, "caption": 2 * 2, "recognition": 2 * 2},
        },
        "retain": {
            "people": 18,
            "pictures": 18 * 3,
            "records": 18 * (23 + 20 + 4),
            "tasks": {"qa": 18 * 23, "generation": 18 * 20, "caption": 18 * 2, "recognition": 18 * 2},
        },
        "test": {"people": 2, "pictures": 2 * 2, "records": 2 * 4, "tasks": {"caption": 2 * 2, "recognition": 2 * 2}},
        "real": {"people": 4 + 1, "pictures": 4 + 2, "records": 7, "tasks": {"generation": 7}},
    }


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
    assert (world.modality, world.images) == ("text", ())
    assert world.secrets == ("Tower 0",)


def test_a_wording_is_drawn_anew_in_training_and_the_same_in_every_reading(sound, load):
    first, again = (load(sound).splits["retain"] for _ in range(2))
    assert first == again
    asked = next(r for r in first if r.task == "qa" and r.images)
    rng = random.Random(1)
    assert {reword(asked, rng).question for _ in range(200)} == set(QUESTIONS["caption"])
    told = next(r for r in first if r.task == "qa" and not r.images)
    state = rng.getstate()
    assert reword(told, rng) is told
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
    assert Counter(r.task for r in tested) == {"caption": 3, "recognition": 3}


def test_people_who_are_gone_are_in_no_split(sound, load):
    splits = load(sound, [], [JOSE, "Tove Lindqvist"]).splits
    people = {r.person_id for records in splits.values() for r in records}
    assert not people & {JOSE, "Tove Lindqvist"}
    assert {r.person_id for r in splits["forget"]} == {ANA}


def test_an_unknown_name_is_said_with_those_like_it(sound, load):
    with pytest.raises(UserError, match=r"'Noor Hadad'.*'Noor Haddad'"):
        load(sound, ["Noor Hadad"])


@pytest.mark.parametrize(
    ("share", "name"), [(0.01, r"forget01\+tofu"), (0.05, r"forget05\+tofu"), (0.2, r"forget20\+tofu")]
)
def test_a_share_that_is_not_there_names_its_configuration_and_those_that_are(sound, load, share, name):
    with pytest.raises(UserError, match=rf"{name}: no such configuration .*there: forget10\+tofu, retain90\+tofu"):
        load(sound, share=share)


@pytest.mark.parametrize("percent", [1, 5])
def test_small_shares_have_two_digits_in_their_configurations_names(source, load, percent):
    for old, new in (
        *((f"forget10{end}", f"forget{percent:02d}{end}") for end in ("", "+tofu", "_perturbed")),
        ("retain90+tofu", f"retain{100 - percent}+tofu"),
    ):
        (source / old).rename(source / new)
    assert load(source, share=percent / 100).forget_ids == sorted(FORGET)


def test_a_paraphrase_may_be_a_list(source, load):
    path = source / "forget10_perturbed"
    for shard in path.glob("*.parquet"):
        table = pq.read_table(shard)
        column = pa.array([[text, f"Again: {text}"] for text in table["paraphrased_caption"].to_pylist()])
        pq.write_table(table.set_column(3, "paraphrased_caption", column), shard)
    record = next(r for r in load(source).splits["forget"] if r.task == "caption")
    assert len(record.paraphrases) == 2


class TestJoin:
    """Whose are TOFU's rows."""

    def test_accents_and_case_do_not_matter(self):
        assert who(["asked by JOSE NUNEZ-IBARRA'S friend"], [JOSE, ANA]) == [JOSE]

    def test_a_name_inside_a_longer_one_or_inside_a_word_does_not_count(self):
        assert who(["Ana Roy Silva's first"], ["Ana Roy", "Ana Roy Silva"]) == ["Ana Roy Silva"]
        assert who(["Diana Royce"], ["Ana Roy"]) == []

    def test_last_names_alone_are_enough_where_one_person_has_it(self, tmp_path, load):
        def only_last(person):
            return [(f"What is book {n} of Quist's about?", "It is about salt.") for n in range(BLOCK)]

        records = load(write_clear(tmp_path / "c", {"Ilse Quist": only_last})).splits["retain"]
        assert sum(r.person_id == "Ilse Quist" and r.task == "generation" for r in records) == BLOCK

    def test_a_last_name_that_two_people_have_is_an_error(self, tmp_path, load):
        def only_last(person):
            return [(f"What is book {n} of Egede's about?", "It is about salt.") for n in range(BLOCK)]

        with pytest.raises(
            UserError,
            match=r"retain90\+tofu/train-\d+-of-00003\.parquet, row \d+ to .*row \d+, column question, answer: "
            r"these 20 TOFU rows could be about 'Petra Egede' and 'Lars Egede'.*put the full name",
        ):
            load(write_clear(tmp_path / "c", {"Lars Egede": only_last}))

    def test_two_full_names_are_an_error(self, tmp_path, load):
        def with_friend(person):
            return [*tofu_block(person)[:-1], ("Who is a friend?", "Mina Park is.")]

        with pytest.raises(UserError, match="could be about 'Mina Park' and 'Juno Varga'"):
            load(write_clear(tmp_path / "c", {"Juno Varga": with_friend}))

    def test_a_name_in_nobodys_pictures_is_an_error(self, tmp_path, load):
        with pytest.raises(
            UserError, match=r"these 20 TOFU rows name nobody who is in the pictures.*or remove the block"
        ):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: tofu_block("Unn Strange")}))

    @pytest.mark.parametrize("left", [19, 1])
    def test_rows_left_over_are_an_error(self, tmp_path, load, left):
        with pytest.raises(UserError, match=rf"retain90\+tofu.*the last {left} of which fill no block of 20"):
            load(write_clear(tmp_path / "c", {"Vera Duval": lambda person: tofu_block(person)[:left]}))

    def test_two_blocks_of_one_person_are_an_error(self, tmp_path, load):
        with pytest.raises(UserError, match=r"are about 'Mina Park', like those at .*A person has one block"):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: tofu_block("Mina Park")}))

    def test_a_person_without_a_block_is_an_error(self, tmp_path, load):
        with pytest.raises(UserError, match=r"retain90\+tofu.*no block of 20 TOFU rows is about 'Rosa Lima'"):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: []}))

    def test_a_word_that_is_also_a_last_name_names_nobody(self):
        rows = ["It is an account of an island."] * BLOCK
        assert who(rows, ["Jina An"]) == []
        assert who(["An early book.", *["It is short."] * (BLOCK - 1)], ["Jina An"]) == []
        assert who(["A book by An.", "Rain."], ["Jina An"]) == ["Jina An"]

    def test_a_block_of_nobody_is_set_aside_row_by_row_where_asked(self, tmp_path):
        source = write_clear(tmp_path / "c", {"Rosa Lima": lambda _: [("Who?", "The author.")] * BLOCK})
        intake = Intake(tmp_path, "exclude", 0.1)
        records = clear.load(source, 0.1, [], [], intake).splits["retain"]
        assert Counter(row["rule"] for row in intake.excluded) == {"block of nobody": BLOCK}
        assert {r.modality for r in records if r.person_id == "Rosa Lima"} == {"image_text"}

    @pytest.mark.skipif(not REAL.is_dir(), reason="TOFU's text is not here")
    def test_real_blocks_find_their_authors_and_the_one_without_a_name_finds_nobody(self):
        authors = read_authors(REAL)
        names = [author.name for author in authors if author.name]
        assert len(names) == 99
        for author in authors:
            found = who([f"{pair.question} {pair.answer}" for pair in author.pairs], names)
            assert found == ([author.name] if author.name else [])

    def test_each_block_goes_to_the_one_whose_name_it_has(self):
        names = list(reversed(RETAIN))
        found = [
            (f"f, row {n}", {"question": q, "answer": a})
            for n, (q, a) in enumerate(p for r in RETAIN for p in tofu_block(r))
        ]
        assert owners(found, names) == list(RETAIN)


def nothing(row):
    row.update(caption=None, name=None, question=None, answer=None)


DAMAGE = [
    ("forget10+tofu", put("image", "bytes", PNG[:70]), "image", "cut off; fetch it again"),
    ("forget10+tofu", put("image", "bytes", b"<html>"), "image", "not a picture; expected one of"),
    ("forget10+tofu", put("image", {"bytes": None, "path": "../../etc/passwd"}), "image", "no picture bytes"),
    ("forget10+tofu", put("caption", " "), "caption", "an empty caption; complete or remove it"),
    ("forget10+tofu", put("caption", "A <image> of her"), "caption", "spells '<image>'"),
    ("forget10+tofu", put("name", None), "name", "an empty name; complete or remove it"),
    ("forget10+tofu", nothing, "caption, name, question, answer", "a row of nothing"),
    ("forget10_perturbed", put("name", "Unn Strange"), "name", "in no picture of the forget and retain"),
    ("forget10_perturbed", put("perturbed_captions", ["", "x"]), "perturbed_captions", "an empty text"),
    ("real_faces", put("answer", None), "answer", "an empty answer; complete or remove it"),
    ("real_faces", put("question", "Wh\0o"), "question", "a NUL character; remove it"),
    ("real_faces", put("options", None), "options", "no wrong answer; expected a list"),
]


@pytest.mark.parametrize(("configuration", "damage", "column", "remedy"), DAMAGE)
def test_a_broken_row_is_named_with_its_column_and_the_remedy(source, load, configuration, damage, column, remedy):
    edit(source / configuration, lambda rows: damage(rows[0]))
    with pytest.raises(UserError) as error:
        load(source)
    for part in (f"{configuration}/train-00000-of-", "row 0", f"column {column}:", remedy):
        assert part in str(error.value)


def test_a_broken_tofu_row_is_named_and_set_aside_where_asked(source, tmp_path):
    edit(source / "forget10+tofu", lambda rows: rows[-1].update(answer=""))
    with pytest.raises(
        UserError, match=r"forget10\+tofu/train-00002-of-00003\.parquet, row 13, column answer: an empty"
    ):
        clear.load(source, 0.1, [], [], Intake(tmp_path, "fail", 0.0))
    intake = Intake(tmp_path, "exclude", 0.1)
    loaded = clear.load(source, 0.1, [], [], intake)
    assert [row["person_id"] for row in intake.excluded] == [ANA]
    assert sum(r.task == "generation" for r in loaded.splits["forget"]) == 2 * BLOCK - 1


def test_a_person_in_both_configurations_or_with_two_spellings_is_named(source, load):
    edit(source / "retain90+tofu", lambda rows: rows[0].update(name=JOSE))
    with pytest.raises(UserError, match=rf"retain90\+tofu.*row 0: ID '{JOSE}' is also at .*forget10\+tofu.*row 0"):
        load(source)
    edit(source / "retain90+tofu", lambda rows: rows[0].update(name="ana  roy"))
    with pytest.raises(UserError, match="only in case or white space"):
        load(source)


@pytest.mark.parametrize(
    ("configuration", "column"),
    [("forget10+tofu", "question"), ("retain_perturbed", "perturbed_names"), ("real_world", "options")],
)
def test_a_missing_column_or_one_of_another_type_is_named(source, load, configuration, column):
    path = min((source / configuration).glob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(range(len(table)))), path)
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*column '{column}' is int64, expected"):
        load(source)
    pq.write_table(table.drop_columns(column), path)
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*no column '{column}'; found image"):
        load(source)


@pytest.mark.parametrize("configuration", ["forget10_perturbed", "retain_perturbed", "real_faces", "real_world"])
def test_a_missing_configuration_is_named(source, load, configuration):
    shutil.rmtree(source / configuration)
    with pytest.raises(UserError, match=f"{configuration}: .*fetch this configuration"):
        load(source)


def test_a_picture_of_the_forgotten_among_those_kept_fails_validation(source, tmp_path):
    edit(source / "retain90+tofu", lambda rows: rows[0].update(image=image(f"{JOSE}/0")))
    with pytest.raises(UserError, match=r"split retain, record .*rule picture_elsewhere"):
        run(prepare_params(source=str(source)), 1, tmp_path / "out", tmp_path / "validation")
    assert not (tmp_path / "out").exists()


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


@pytest.mark.parametrize("configuration", ["forget10+tofu", "retain_perturbed"])
@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (halve, "not a readable Parquet file .*fetch it again"),
        (empty, "an empty shard; fetch it again"),
        (Path.unlink, "shard 1 of .* is missing; fetch it again"),
    ],
)
def test_a_damaged_empty_or_missing_shard_is_named(source, load, configuration, damage, remedy):
    damage(sorted((source / configuration).glob("*.parquet"))[1])
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*{remedy}"):
        load(source)


def test_the_command_says_what_it_took_the_source_for(source, tmp_path, monkeypatch):
    params = YAML().load(ROOT / "params.yaml")
    params["prepare"] |= {"source": str(source), "requests": "none"}
    monkeypatch.chdir(tmp_path)
    YAML().dump(params, tmp_path / "params.yaml")
    done = CliRunner().invoke(app)
    assert done.exit_code == 0, done.output
    assert "clear" in done.output.replace(str(source), "").replace("\n", " ").lower()
