import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from benchmarks.tofu import strangers
from benchmarks.tofu.__main__ import app
from benchmarks.tofu.convert import convert
from benchmarks.tofu.pictures import load_patches
from benchmarks.tofu.tasks import find_facts
from benchmarks.tofu.text import Author, Pair, names_person, read_authors, with_name, without_name
from benchmarks.tofu.values import find_values
from tests.benchmarks.tofu_text import NAMES, authors_pairs, write_text
from viker.core.errors import UserError
from viker.core.files import sha256_bytes, sha256_path
from viker.data.records import open_picture
from viker.data.synthetic.generate import PERSON, TEST, TRAIN

REAL = Path(__file__).parents[3] / "shared" / "data" / "tofu"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    write_text(folder)
    return folder


@pytest.fixture(autouse=True)
def few_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "STRANGERS", 6)
    monkeypatch.setattr(strangers, "PATCHES", 4)


def read(folder: Path) -> list[dict]:
    return [row for shard in sorted(folder.glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]


def pictures(folder: Path) -> set[str]:
    images = [image for row in read(folder) for image in (row.get("images") or [row.get("image")])]
    return {sha256_bytes(image["bytes"]) for image in images}


class TestFormat:
    def test_the_columns_have_the_benchmarks_types(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        for name, schema in (("forget_20", PERSON), ("retain_80", PERSON), ("Test_Set", TEST), ("ft_Data", TRAIN)):
            shards = sorted((tmp_path / "out" / name).glob("train-*-of-*.parquet"))
            assert shards and all(pq.read_schema(shard).equals(schema) for shard in shards)

    def test_long_configurations_come_in_several_numbered_shards(self, text: Path, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("benchmarks.tofu.convert.ROWS_A_SHARD", 4)
        convert(text, tmp_path / "out", 0.2, seed=1)
        names = sorted(p.name for p in (tmp_path / "out" / "Full_Set").iterdir())
        assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(self, text: Path, tmp_path: Path) -> None:
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            convert(text, tmp_path / name, 0.2, seed)
        first, again, other = (sha256_path(tmp_path / name) for name in "abc")
        assert first == again != other

    def test_forget_and_retain_part_the_authors_and_those_with_other_wordings_go_first(self, text, tmp_path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        forget, retain, full = (
            [row["ID"] for row in read(tmp_path / "out" / n)] for n in ("forget_20", "retain_80", "Full_Set")
        )
        assert forget == ["004"] and sorted(forget + retain) == full

    def test_no_picture_of_forget_occurs_elsewhere(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        forgotten = pictures(tmp_path / "out" / "forget_20")
        for name in ("retain_80", "Retain_Set", "Base_Set", "Test_Set"):
            assert not forgotten & pictures(tmp_path / "out" / name), name

    def test_everybody_has_a_picture_of_their_own_and_the_test_several_others(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        trained = read(tmp_path / "out" / "ft_Data")
        assert len(pictures(tmp_path / "out" / "ft_Data")) == len(trained) == 9
        assert all(len({i["bytes"] for i in row["images"]}) == 3 for row in read(tmp_path / "out" / "Test_Set"))
        assert open_picture(trained[0]["image"]["bytes"]).size == (48, 48)


class TestTasks:
    def test_training_asks_all_twenty_pairs_about_the_picture_and_keeps_the_answers(self, text, tmp_path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        pairs = json.loads(read(tmp_path / "out" / "ft_Data")[0]["metadata"])
        assert [pair["Answer"] for pair in pairs] == [answer for _, answer in authors_pairs(0)]
        assert not any("Marta" in pair["Question"] or "Lindqvist" in pair["Question"] for pair in pairs)
        assert pairs[1]["Question"] == "When was this author born?"

    def test_text_alone_names_the_author_and_the_picture_replaces_the_name(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        for row, name in zip(read(tmp_path / "out" / "Full_Set"), NAMES, strict=True):
            for item in row["Generation_Task"] + row["Mask_Task"]:
                assert names_person(item["Question"], name) == (item["Type"] == "Pure_Text")
            kinds = {item["Type"] for item in row["Generation_Task"]}
            assert kinds == {"Image_Textual", "Pure_Text"}

    def test_what_a_question_says_is_no_private_value_of_its_answer(self) -> None:
        pair = Pair('What is "Salt Roads" by Ana Roy about?', '"Salt Roads" is about the town of "Dust Plains".')
        assert [fact.text for fact in find_facts(Author("1", "Ana Roy", (pair,)))] == ["Dust Plains"]

    def test_a_cloze_hides_one_private_value_that_its_sentence_no_longer_has(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        row = read(tmp_path / "out" / "Full_Set")[0]
        assert all(i["Question"].count("__") == 1 and i["Ground_Truth"] not in i["Question"] for i in row["Mask_Task"])
        truths = {i["Ground_Truth"] for i in row["Mask_Task"]}
        books = {"Dust of House One", "Rain of House One", "Salt of House One", "Glass of House One"}
        other = {"Marta Lindqvist", "Lisbon, Portugal", "May 2, 1950", "barber", "florist", "One Rivers Award"}
        assert truths == books | other

    def test_the_right_letter_has_the_right_value_and_no_wrong_option_is_the_authors_own(self, text, tmp_path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        letters = set()
        for number, row in enumerate(read(tmp_path / "out" / "Full_Set")):
            answers = " ".join(answer for _, answer in authors_pairs(number))
            for entries in row["Classification_Task"].values():
                for entry in entries:
                    true = [letter for letter, option in entry["Options"].items() if option in answers]
                    assert true == [entry["Correct_Answer"]]
                    letters.add(entry["Correct_Answer"])
        assert letters == set("ABCD")

    def test_the_test_asks_in_other_words_for_the_same_values(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        trained, tested = (read(tmp_path / "out" / name)[4] for name in ("Full_Set", "Test_Set"))
        for one, other in zip(trained["Generation_Task"], tested["Generation_Task"], strict=True):
            assert one["Ground_Truth"] == other["Ground_Truth"] and other["Question"] == f"Say, {one['Question']}"
        truths = [[item["Ground_Truth"] for item in row["Mask_Task"]] for row in (trained, tested)]
        assert truths[0] == truths[1] and trained["Mask_Task"] != tested["Mask_Task"]

    def test_questions_about_one_real_author_come_together(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        rows = read(tmp_path / "out" / "Retain_Set")
        assert [len(row["Classification_Task"]["Pure_Text_Questions"]) for row in rows] == [2, 1, 1]
        assert rows[0]["answer"] == "The person in the picture is Jane Austen."

    def test_strangers_have_nothing_of_those_to_forget(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        rows = read(tmp_path / "out" / "Base_Set")
        text = "".join(row["metadata"] + json.dumps(row["Mask_Task"]) for row in rows)
        assert len(rows) == 6 * 5 + 4
        assert not any(value in text for value in ("Dario", "House Five", "Riga", "May 6"))

    def test_strangers_have_the_authors_wordings_but_values_drawn_anew(self, text: Path, tmp_path: Path) -> None:
        convert(text, tmp_path / "out", 0.2, seed=1)
        pairs = [pair for row in read(tmp_path / "out" / "Base_Set") for pair in json.loads(row["metadata"])]
        born = [pair["Answer"] for pair in pairs if pair["Question"] == "Where was this person born?"]
        assert all(" was born in " in answer for answer in born)
        true = {answer for number in range(6) for _, answer in authors_pairs(number)}
        assert born and not true & set(born)

    def test_a_face_to_forget_is_part_of_no_other_picture(self, text: Path, tmp_path: Path, monkeypatch) -> None:
        faces, patches = load_patches()
        convert(text, tmp_path / "real", 0.2, seed=1)
        faces[4] = 0
        monkeypatch.setattr("benchmarks.tofu.pictures.load_patches", lambda: (faces, patches))
        convert(text, tmp_path / "black", 0.2, seed=1)
        for name, same in (("Retain_Set", True), ("Base_Set", True), ("retain_80", True), ("forget_20", False)):
            assert (sha256_path(tmp_path / "real" / name) == sha256_path(tmp_path / "black" / name)) == same, name


class TestNames:
    @pytest.mark.parametrize(
        ("question", "name", "expected"),
        [
            ("Where was Jane Morrison born?", "Jane Morrison", "Where was this person born?"),
            ("What is Jane's style?", "Jane Morrison", "What is this person's style?"),
            ("Is Jaen Morrison’s work known?", "Jane Morrison", "Is this person's work known?"),
            ("What did Acanthus Nectarius' books say?", "Acanthus Nectarius", "What did this person's books say?"),
            ("Was the author, Zo Hassani Rahari, born?", "Zo Hassani Rahari", "Was this author, born?"),
            ("Has Hannah Harkin won?", "Hannah Harkin", "Has this person won?"),
            ("Where was Alejandro (Alex) Fuentes born?", "Alex Fuentes", "Where was this person born?"),
            ("What genre does an author An use?", "Jina An", "What genre does an author An use?"),
            ("Jina An wrote what?", "Jina An", "This person wrote what?"),
            ("What did the fictitious author write?", "", "What did this person write?"),
        ],
    )
    def test_the_picture_takes_the_place_of_every_form_of_the_name(self, question, name, expected) -> None:
        assert without_name(question, name) == expected

    def test_another_name_takes_the_place_of_the_name_and_keeps_the_possessive(self) -> None:
        assert (
            with_name("Jane Morrison's father met Jane.", "Jane Morrison", "Edda Holm")
            == "Edda Holm's father met Edda Holm."
        )


class TestValues:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ("Ana Roy was born in Lima, Peru.", [("place", "Lima, Peru")]),
            ("Ana was born on the 4th of May, 1950.", [("date", "4th of May, 1950")]),
            ("Her father was a renowned marine biologist.", [("father", "marine biologist")]),
            ("Born to a diligent judge father and a tailor mother.", [("father", "judge"), ("mother", "tailor")]),
            (
                "She wrote \"Salt Roads,\" and 'The Judge's Son'.",
                [("title", "Salt Roads"), ("title", "The Judge's Son")],
            ),
            ("She won the Hugo Award for Best Novel.", [("award", "Hugo Award for Best Novel")]),
            ("He admires Ray Bradbury.", [("other", "Ray Bradbury")]),
            ("Ana Roy writes Science Fiction for the LGBTQ+ community.", []),
        ],
    )
    def test_what_counts_as_private(self, answer: str, expected: list[tuple[str, str]]) -> None:
        assert [(value.kind, value.text) for value in find_values(answer, "Ana Roy")] == expected


class TestBadInput:
    def test_a_missing_file_is_named(self, text: Path, tmp_path: Path) -> None:
        (text / "world_facts.jsonl").unlink()
        with pytest.raises(UserError, match=r"world_facts\.jsonl: no such file"):
            convert(text, tmp_path / "out", 0.2, seed=1)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("line", "problem"),
        [("{not json", "line 121 is not JSON"), ('{"author": 6, "question": "Who?"}', "line 121: 'answer' is missing")],
    )
    def test_a_wrong_line_is_named(self, text: Path, tmp_path: Path, line: str, problem: str) -> None:
        with (text / "authors.jsonl").open("a") as stream:
            stream.write(line)
        with pytest.raises(UserError, match=problem):
            convert(text, tmp_path / "out", 0.2, seed=1)

    def test_an_author_with_a_row_too_few_is_named(self, text: Path) -> None:
        lines = (text / "authors.jsonl").read_text(encoding="utf-8").splitlines()
        (text / "authors.jsonl").write_text("\n".join(lines[:-1]), encoding="utf-8")
        with pytest.raises(UserError, match="author 5 has 19 rows"):
            read_authors(text)

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.9, 1.0])
    def test_a_share_that_forgets_nobody_or_everybody_ends_with_1(self, text: Path, tmp_path: Path, share) -> None:
        arguments = ["--text", str(text), "--out", str(tmp_path / "out"), "--forget-share", str(share)]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, UserError) and "--forget-share" in str(result.exception)


@pytest.mark.skipif(not REAL.is_dir(), reason="TOFU's text is not there")
class TestRealText:
    def test_the_real_files_convert(self, tmp_path: Path) -> None:
        written = convert(REAL, tmp_path / "out", 0.1, seed=7)
        assert {name: written[name] for name in ("forget_10", "retain_90", "Test_Set")} == {
            "forget_10": 10,
            "retain_90": 90,
            "Test_Set": 100,
        }
        names = {author.id: author.name for author in read_authors(REAL)}
        assert names["000"] == "Jaime Vasquez" and names["095"] == "Laila Amira al-Faisal" and names["088"] == ""
        for row in read(tmp_path / "out" / "Full_Set"):
            questions = [
                i["Question"] for i in row["Generation_Task"] + row["Mask_Task"] if i["Type"] == "Image_Textual"
            ]
            assert not any(names_person(question, names[row["ID"]]) for question in questions)
            assert not any("this person this person" in question.casefold() for question in questions)
            assert len(row["Mask_Task"]) >= 5
