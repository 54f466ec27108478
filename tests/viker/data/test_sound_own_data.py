"""A user's own table that is sound: where its rows, private values and pictures go."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.viker.data.damage import PNG, assert_said
from tests.viker.data.records_data import write_jsonl
from tests.viker.data.test_broken_data import prepare
from tests.viker.data.test_broken_own_data import lines, set_first, write
from viker.data.records import read_pictures, read_records


def test_rows_marked_test_and_real_go_there_and_test_rows_of_others_are_not_used(mine, monkeypatch, capsys):
    rows = lines()
    more = {"question": "Born where?", "answer": "In Oslo.", "split": "test"}
    rows += [{"person_id": "p0", **more}, {"person_id": "p1", **more}]
    rows.append({"person_id": "star", **more, "split": "real"})
    write(rows)
    assert prepare(monkeypatch, capsys)[0] == 0
    test, real = (read_records(Path("data/prepared"), split) for split in ("test", "real"))
    assert {r.person_id: [one.task for one in test] for r in test} == {"p0": ["generation", "cloze"]}
    assert {(r.person_id, r.task) for r in real} == {("star", task) for task in ("qa", "generation", "cloze")}
    assert not Path("data/prepared/unseen.parquet").exists()


def test_rows_marked_unseen_are_a_split_that_nothing_is_trained_on(mine, monkeypatch, capsys):
    stranger = {"person_id": "new", "question": "Born where?", "answer": "In Oslo.", "split": "unseen"}
    rows = lines()
    write([*rows, stranger])
    assert prepare(monkeypatch, capsys)[0] == 0
    unseen, retain = (read_records(Path("data/prepared"), split) for split in ("unseen", "retain"))
    assert [(r.person_id, r.task) for r in unseen] == [("new", "generation"), ("new", "cloze")]
    assert "new" not in {r.person_id for r in retain}
    write([*rows, stranger | {"person_id": "p1"}])
    assert_said(prepare(monkeypatch, capsys)[1], "person 'p1' is marked", "'unseen'", "a person is in one split")


@pytest.mark.parametrize(
    ("listed", "secrets"),
    [(["Oslo"], ("Oslo",)), (None, ("She lives in Oslo",)), (["Riga"], ("She lives in Oslo",))],
)
def test_a_short_answer_is_private_as_a_whole_only_where_no_value_in_it_is(mine, monkeypatch, capsys, listed, secrets):
    """Else a reply that names another town would be alike to the sentence, and count as a leak."""
    set_first(question="Where does she live?", answer="She lives in Oslo.", options=None, secrets=listed)
    assert prepare(monkeypatch, capsys)[0] == 0
    records = read_records(Path("data/prepared"), "forget")
    assert {record.secrets for record in records if record.question == "Where does she live?"} == {secrets}


def test_without_test_rows_each_question_is_asked_with_the_next_picture(mine, monkeypatch, capsys):
    assert prepare(monkeypatch, capsys)[0] == 0
    forget, test = (read_records(Path("data/prepared"), split) for split in ("forget", "test"))
    before, after = ({r.id: r.images for r in records if r.task != "qa"} for records in (forget, test))
    assert before.keys() == after.keys()
    assert all(before[one] != after[one] for one in before if before[one])


def test_unusual_pictures_beside_the_table_are_kept_as_they_are(mine, monkeypatch, capsys):
    from tests.viker.data.test_pictures import UNUSUAL

    for kind, (content, _, _) in UNUSUAL.items():
        Path(f"benchmark/pictures/{kind}").write_bytes(content)
    write(
        [row | {"image": f"pictures/{kind}"} for kind, row in zip(UNUSUAL, lines()[::3], strict=False)] + lines()[12:]
    )
    assert prepare(monkeypatch, capsys)[0] == 0
    assert {content for content, _, _ in UNUSUAL.values()} <= set(read_pictures(Path("data/prepared")).values())


def test_a_parquet_table_may_hold_pictures_as_structs_of_bytes_or_path(project, monkeypatch, capsys):
    write_jsonl(Path("benchmark"))
    rows = lines()
    Path("benchmark/questions.jsonl").unlink()
    for row in rows:
        path = row.get("image")
        row["image"] = path and {"bytes": None, "path": path}
    rows[0]["image"] = {"bytes": PNG, "path": None}
    pq.write_table(pa.Table.from_pylist(rows), "benchmark/questions.parquet")
    assert prepare(monkeypatch, capsys)[0] == 0
    assert PNG in read_pictures(Path("data/prepared")).values()
