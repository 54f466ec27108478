"""Whose pictures CLEAR's are, in its published form and in those of earlier commits."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.tofu.text import read_authors
from components.prepare.run import run
from tests.conftest import prepare_params
from tests.viker.data.clear_data import FORGET, RETAIN, edit, write_clear
from viker.core.errors import UserError
from viker.data.formats import clear
from viker.data.formats.base.clear_names import by_caption, names_in
from viker.data.formats.base.intake import Intake
from viker.data.wordings import QUESTIONS

JOSE, ANA = FORGET
NAMELESS = "Somebody stands before a wall."
REAL = Path(__file__).parents[5] / "shared" / "data" / "tofu"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    return write_clear(tmp_path_factory.mktemp("first") / "clear", first_commits=True)


def without(folder: Path, *columns: str) -> None:
    for path in folder.glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(list(columns)), path)


def nameless_captions(source: Path, *configurations: str) -> None:
    for name in configurations:
        edit(source / name, lambda rows: rows[0].update(caption=NAMELESS))


def captions(loaded, person):
    return [r.answer for r in loaded.splits["forget"] if r.person_id == person and r.task == "qa" and r.images]


def test_the_name_comes_from_the_configuration_without_tofu(source, load):
    nameless_captions(source, "forget10", "forget10+tofu")
    loaded = load(source)
    assert NAMELESS in captions(loaded, JOSE)
    assert not loaded.notes


def test_or_from_the_default_one_in_the_folder_data(source, load):
    nameless_captions(source, "data", "forget10+tofu")
    for name in ("forget10", "retain90"):
        shutil.rmtree(source / name)
    assert NAMELESS in captions(load(source), JOSE)


@pytest.mark.parametrize(
    "change", [lambda rows: rows[0].update(name=None), lambda rows: rows.append(rows[0] | {"name": ANA})]
)
def test_or_from_the_caption_where_the_column_is_empty_or_disagrees_with_itself(source, load, change):
    edit(source / "forget10", change)
    assert captions(load(source), JOSE)[0].startswith(JOSE)


def test_a_picture_that_nothing_names_is_set_aside_where_asked(source, tmp_path):
    nameless_captions(source, "forget10+tofu")
    intake = Intake(tmp_path, "exclude", 0.01)
    loaded = clear.load(source, 0.1, [], [], intake)
    assert NAMELESS not in captions(loaded, JOSE)
    (row,) = intake.excluded
    assert (row["where"].rpartition("/")[2], row["column"], row["rule"]) == (
        "train-00000-of-00001.parquet, row 0",
        "caption",
        "picture of nobody",
    )


def test_the_first_commits_have_the_same_people_and_what_they_lack_is_said(first, sound, load, tmp_path):
    manifest = run(prepare_params(source=str(first)), 1, tmp_path / "out", tmp_path / "validation")
    assert manifest["forget_ids"] == sorted(FORGET)
    assert [line.partition(":")[0] for line in manifest["notes"]] == [
        *("forget10+tofu", "retain90+tofu", "forget10_perturbed", "retain_perturbed", "real_faces")
    ]
    early, late = load(first), load(sound)
    for split, records in late.splits.items():
        assert [(r.person_id, r.task, r.answer) for r in early.splits[split]] == [
            (r.person_id, r.task, r.answer) for r in records
        ]
    recognition = [r for r in early.splits["forget"] if r.task == "recognition"]
    assert {r.perturbed_answers for r in recognition} == {()}
    assert all(r.perturbed_answers for r in early.splits["forget"] if r.task == "caption")
    asked = {r.question for r in early.splits["real"] if r.person_id.startswith("real_faces/")}
    assert asked <= set(QUESTIONS["recognition"])


def test_a_commit_between_them_has_names_in_some_configurations(source, load):
    for name in ("retain90", "data"):
        without(source / name, "name")
    without(source / "retain_perturbed", "name", "perturbed_names")
    loaded = load(source)
    assert [line.partition(":")[0] for line in loaded.notes] == ["retain90+tofu", "retain_perturbed"]
    assert {r.person_id for r in loaded.splits["retain"]} == set(RETAIN)


def test_a_perturbed_row_without_a_name_has_that_of_its_picture(source, load):
    nameless_captions(source, "forget10", "forget10+tofu", "forget10_perturbed")
    edit(source / "forget10_perturbed", lambda rows: rows[0].update(name=None))
    asked = [r for r in load(source).splits["forget"] if r.task == "caption" and r.answer == NAMELESS]
    assert [r.person_id for r in asked] == [JOSE]


def test_captions_that_name_nobody_of_tofu_are_refused_with_the_row(first, tmp_path, load):
    shutil.copytree(first, tmp_path / "clear")
    edit(
        tmp_path / "clear/forget10+tofu",
        lambda rows: [row.update(caption=NAMELESS) for row in rows if row["caption"]],
    )
    with pytest.raises(UserError, match=r"forget10\+tofu/train-00000-of-00001.parquet, row 0, column caption: no con"):
        load(tmp_path / "clear")


def test_an_older_upload_beside_the_split_train_is_not_read(source, load):
    shutil.copy(source / "real_world/train-00000-of-00001.parquet", source / "real_world/test-00000-of-00001.parquet")
    assert sum(r.person_id == "real_world" for r in load(source).splits["real"]) == 37


def test_the_name_is_the_phrase_that_a_block_has_in_most_rows():
    block = ["Does Abel de Souza live in New York?. Yes, Abel de Souza does.", "Abel de Souza's first?. It is a poem."]
    seen = ["Abel de Souza in New York.", "In New York, a man.", "New York by night."]
    assert names_in(seen, [block]) == ["Abel de Souza"]
    assert names_in(seen, [block, block]) == []
    assert names_in(["A man."], [block]) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="TOFU's text is not here")
def test_real_authors_are_found_by_captions_with_other_names_in_them():
    authors = read_authors(REAL)
    names = [author.name for author in authors if author.name]
    seen = [f"{name} near the Eiffel Tower, with the Pulitzer Prize, on a day in New York." for name in names]
    blocks = [[f"{pair.question}. {pair.answer}" for pair in author.pairs] for author in authors]
    found = names_in(seen, blocks)
    assert set(found) == set(names)
    assert [by_caption("", caption, found) for caption in seen] == names
