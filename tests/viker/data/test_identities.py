"""One person, secret or file with several spellings: one identity in every format, or an error that names both."""

import csv
import json
import unicodedata
from collections import Counter
from collections.abc import Collection
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import prepare_params
from tests.effort import calls_of
from tests.viker.data.damage import portrait
from viker.core.errors import UserError
from viker.data.formats import mllmu, records
from viker.data.formats.base.intake import Intake
from viker.data.formats.base.people import check_people
from viker.data.formats.base.tasks import has
from viker.data.preparation import load_source
from viker.data.requests import ForgetRequest
from viker.data.synthetic.generate import generate

NAME = "José Núñez"
DECOMPOSED = unicodedata.normalize("NFD", NAME)
HIDDEN = "José\u200b Núñez\u200f"


def write_table(folder: Path, rows: list[dict[str, object]]) -> Path:
    """Write a CSV with a picture for each row that names none."""
    folder.mkdir()
    names = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["image", *(name for name in names if name != "image")])
        table.writeheader()
        for number, row in enumerate(rows):
            if "image" not in row:
                (folder / f"{number}.png").write_bytes(portrait(number))
            table.writerow({"image": f"{number}.png"} | row)
    return folder


def rows_of(*people: str) -> list[dict[str, object]]:
    return [{"person_id": person, "question": "Born where?", "answer": f"Town{i}"} for i, person in enumerate(people)]


@pytest.fixture
def load(tmp_path):
    def loaded(source: Path, *forget: str, gone: Collection[str] = (), format_=records):
        intake = Intake(tmp_path, "fail", 0.0)
        return format_.load(source, 0.1, list(forget), gone, intake).splits

    return loaded


def people(split) -> set[str]:
    return {record.person_id for record in split}


@pytest.mark.parametrize("spelling", [DECOMPOSED, HIDDEN, f" {NAME} "])
def test_all_rows_of_a_person_are_forgotten_however_each_is_spelt(load, tmp_path, spelling):
    source = write_table(tmp_path / "mine", rows_of(NAME, spelling, "Bo", "Cy"))
    splits = load(source, NAME)
    assert people(splits["forget"]) == {NAME} and people(splits["retain"]) == {"Bo", "Cy"}
    assert Counter(record.task for record in splits["forget"]) == {"qa": 2, "generation": 2, "cloze": 2}
    assert people(load(source, "Bo", gone=(NAME,))["retain"]) == {"Cy"}


@pytest.mark.parametrize("typed", [DECOMPOSED, HIDDEN])
def test_a_request_is_for_the_person_of_the_data_however_it_is_typed(tmp_path, typed):
    source = write_table(tmp_path / "mine", rows_of(NAME, "Bo", "Cy"))
    (tmp_path / "requests").mkdir()
    text = f"id: a\ndate: 2026-11-01\npeople: ['{typed}']\nreason: erasure\ndeadline: 2026-12-01\n"
    (tmp_path / "requests/a.yaml").write_text(text, encoding="utf-8")
    params = prepare_params(source=str(source), requests=str(tmp_path / "requests"))
    loaded = load_source(params, 1, tmp_path, tmp_path)
    assert loaded.benchmark.forget_ids == [NAME]
    assert loaded.forget_list.fulfilled_by([NAME]) == ["a"]
    override = prepare_params(source=str(source), forget_ids=[typed], requests=str(tmp_path / "none"))
    assert load_source(override, 1, tmp_path, tmp_path).benchmark.forget_ids == [NAME]


def test_a_request_keeps_the_spelling_of_who_wrote_it_and_names_nobody_twice():
    values = {"id": "a", "date": date(2026, 11, 1), "reason": "erasure", "deadline": date(2026, 12, 1)}
    request = ForgetRequest(**values, people=[DECOMPOSED])
    assert request.people == [DECOMPOSED] and request.identities == [NAME]
    with pytest.raises(ValueError, match=r"twice, as .*U\+006F U\+0073 U\+00E9.* and .*U\+0065 U\+0301"):
        ForgetRequest(**values, people=[NAME, DECOMPOSED])
    with pytest.raises(ValueError, match="not a person's ID"):
        ForgetRequest(**values, people=["\u200b"])


def test_ids_that_differ_in_case_are_an_error_with_both_and_their_code_points(load, tmp_path):
    source = write_table(tmp_path / "mine", rows_of(NAME, "Bo", NAME.upper()))
    with pytest.raises(UserError, match=r"row 2.*'JOSÉ NÚÑEZ' \(U\+004A.*U\+00C9.*'José Núñez' \(U\+004A.*row 0"):
        load(source, "Bo")


def test_an_id_of_another_case_than_in_the_data_is_shown_with_that_of_the_data(load, tmp_path):
    source = write_table(tmp_path / "mine", rows_of(NAME, "Bo"))
    with pytest.raises(UserError, match=r"'josé núñez' \(U\+006A.*The data has 'José Núñez' \(U\+004A"):
        load(source, "josé núñez")


def test_benchmarks_take_their_ids_in_canonical_form(load, tmp_path, small_description):
    generate(small_description, tmp_path / "benchmark", seed=1, forget_share=0.1)
    for path in (tmp_path / "benchmark").glob("*/*.parquet"):
        table = pq.read_table(path)
        spelt = ["\u200b001 " if one == "001" else one for one in table["ID"].to_pylist()]
        pq.write_table(table.set_column(table.schema.get_field_index("ID"), "ID", pa.array(spelt)), path)
    splits = load(tmp_path / "benchmark", "001", format_=mllmu)
    assert people(splits["forget"]) == people(splits["test"]) == {"001"}
    assert "001" not in people(splits["retain"])
    assert "001" not in people(load(tmp_path / "benchmark", "002", gone=("001",), format_=mllmu)["retain"])


def test_the_same_id_spelt_in_two_ways_is_the_same_person_twice():
    with pytest.raises(UserError, match="a person is in one split"):
        check_people([("a", NAME), ("b", DECOMPOSED)])


@pytest.mark.parametrize(
    ("answer", "secret"),
    [
        ("She was born in Málaga, long ago, in 1970.", unicodedata.normalize("NFD", "Málaga")),
        (unicodedata.normalize("NFD", "She was born in Málaga, long ago, in 1970."), "Málaga"),
        ("She was born in Má\u200blaga, long ago, in 1970.", "málaga"),
        ("She was born in Málaga, long ago, in 1970.", "\u202aMálaga\u202c "),
    ],
)
def test_a_secret_is_found_in_the_answer_however_both_are_spelt(load, tmp_path, answer, secret):
    row = {"person_id": "p1", "question": "Where?", "answer": answer, "secrets": json.dumps([secret])}
    source = write_table(tmp_path / "mine", [row, *rows_of("Bo")])
    for record in load(source, "p1")["forget"]:
        (found,) = record.secrets
        assert found in record.answer
        if record.task == "cloze":
            assert not has(record.question, found) and record.question.startswith("She was born in __")
        else:
            assert record.answer == answer  # texts keep their spelling


def test_the_right_option_is_found_and_exchanged_however_it_is_spelt(load, tmp_path):
    options = [unicodedata.normalize("NFD", "Málaga"), "Oslo", "Riga", "Lima"]
    row = {"person_id": "p1", "question": "Where?", "answer": "In Málaga.", "options": json.dumps(options)}
    forget = load(write_table(tmp_path / "mine", [row, *rows_of("Bo")]), "p1")["forget"]
    assert next(r for r in forget if r.task == "classification").correct == "A"
    assert next(r for r in forget if r.task == "qa").perturbed_answers == ("In Oslo.", "In Riga.", "In Lima.")


@contextmanager
def on_disk(folder: Path, *names: str):
    for number, name in enumerate(names):
        (folder / "faces").mkdir(exist_ok=True)
        (folder / "faces" / name).write_bytes(portrait(50 + number))
    yield folder


def test_a_picture_is_found_whose_name_the_disk_spells_in_another_way(load, tmp_path):
    rows = [*rows_of("p1", "Bo")]
    rows[0]["image"] = "faces/José.png"
    source = write_table(tmp_path / "mine", rows)
    with on_disk(source, unicodedata.normalize("NFD", "José.png")):
        assert load(source, "p1")["forget"][0].images
    with on_disk(source, "José\u200b.png"), pytest.raises(UserError, match=r"could be .*U\+0301.* and .*U\+200B"):
        load(source, "p1")
    with on_disk(source, "José.png"):  # the very name goes before all others
        assert load(source, "p1")["forget"][0].images


def test_a_listed_secret_that_no_answer_of_the_person_has_is_named(load, tmp_path, caplog):
    rows = rows_of("p1", "p1", "Bo")
    for row, listed in zip(rows, (["Town0", "Malagga"], ["Town0", "Town1"], ["elsewhere"]), strict=True):
        row["secrets"] = json.dumps(listed)
    load(write_table(tmp_path / "mine", rows), "p1")
    assert "row 0, column secrets: no answer about 'p1' has 'Malagga', so its leakage isn't measured." in caplog.text
    assert "Town" not in caplog.text and "elsewhere" not in caplog.text


KEPT = ("Ann", "Ben", "Cid")


def test_work_grows_with_the_people_and_not_with_their_square(load, tmp_path):
    def calls(count: int) -> int:
        names = [f"p{number}" for number in range(count)]
        text = "".join(f"{name},,Born where?,Town {name}\n" for name in [*names, *KEPT])
        path = tmp_path / "t.csv"
        path.write_text(f"person_id,image,question,answer\n{text}")
        found = []
        made = calls_of(lambda: found.extend(load(path, *names[: count // 2], gone=names[count // 2 :])["forget"]))
        assert len(found) == count // 2 * 4, "qa, generation, cloze and a choice"
        return made

    calls(100)
    assert calls(4_000) < 4 * 1.2 * calls(1_000)
