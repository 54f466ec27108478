"""The embedded benchmark is in MLLMU-Bench's format, and the seed decides its bytes."""

import random
import shutil
from itertools import combinations

import pyarrow.parquet as pq
import pytest

from tests.viker.data.published import MLLMU
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.data.synthetic.faces import distinct_faces
from viker.data.synthetic.generate import generate

PUBLISHED = [name for name in MLLMU if not name.endswith("5")]


@pytest.fixture(scope="module")
def source(small_description, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "data"
    generate(small_description, folder, seed=1, forget_share=0.1)
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_configuration_has_the_published_columns(source, name):
    columns = set(pq.read_table(source / name).column_names)
    assert columns - {"Directory"} == set(MLLMU[name].columns.names) - {"Directory"}
    assert ("Directory" in columns) or ("Directory" not in MLLMU[name].columns.names)


def test_tasks_have_the_published_fields(source):
    row = pq.read_table(source / "forget_10").to_pylist()[0]
    choice = row["Classification_Task"]["Image_Textual_Questions"][0]
    assert set(row["Classification_Task"]) == {"Image_Textual_Questions", "Pure_Text_Questions"}
    assert set(choice) == {"Question", "Options", "Correct_Answer"}
    assert list(choice["Options"]) == ["A", "B", "C", "D"]
    for task in ("Generation_Task", "Mask_Task"):
        assert {frozenset(item) for item in row[task]} == {frozenset({"Question", "Ground_Truth", "Type"})}
        assert {item["Type"] for item in row[task]} == {"Image_Textual", "Pure_Text"}
    assert all("__" in item["Question"] for item in row["Mask_Task"])


def test_forget_and_retain_are_everyone(source):
    ids = {name: set(pq.read_table(source / name)["ID"].to_pylist()) for name in ("forget_10", "retain_90", "Full_Set")}
    assert len(ids["forget_10"]) == 1
    assert ids["forget_10"] | ids["retain_90"] == ids["Full_Set"]
    assert not ids["forget_10"] & ids["retain_90"]


def test_the_seed_decides_the_bytes(source, small_description, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        generate(small_description, tmp_path / name, seed=seed, forget_share=0.1)
    assert sha256_path(tmp_path / "same") == sha256_path(source) != sha256_path(tmp_path / "other")


def test_nobody_unseen_is_trained_on_and_the_others_are_the_same_without_them(source, small_description, tmp_path):
    rows = {name: pq.read_table(source / name).to_pylist() for name in ("ft_Data", "Unseen_Set")}
    known, unseen = ({(r["ID"], r["biography"].split(" was born")[0]) for r in people} for people in rows.values())
    assert len(unseen) == 8
    assert not {name for pair in known for name in pair} & {name for pair in unseen for name in pair}
    alone = tmp_path / "alone.yaml"
    alone.write_text(small_description.read_text().replace("unseen_people: 8", "unseen_people: 0"))
    generate(alone, tmp_path / "data", seed=1, forget_share=0.1)
    assert not (tmp_path / "data/Unseen_Set").exists()
    shutil.copytree(source, tmp_path / "with")
    shutil.rmtree(tmp_path / "with/Unseen_Set")
    assert sha256_path(tmp_path / "data") == sha256_path(tmp_path / "with")


def test_faces_besides_others_differ_from_them_too():
    first = distinct_faces(20, random.Random(1))
    more = distinct_faces(10, random.Random(2), besides=first)
    assert len(more) == 10
    for one, other in ((one, other) for one in more for other in first):
        pairs = [(getattr(one, name), getattr(other, name)) for name in ("hair", "shirt", "background")]
        assert sum(a != b for a, b in pairs) >= 2


def test_two_people_differ_in_at_least_two_features():
    for one, other in combinations(distinct_faces(40, random.Random(2)), 2):
        pairs = [(getattr(one, name), getattr(other, name)) for name in ("hair", "shirt", "background")]
        assert sum(a != b for a, b in pairs) >= 2


@pytest.mark.parametrize("seed", [12, 36, 171])
def test_where_two_colours_are_used_up_one_and_style_or_extra_differ(seed):
    """With these seeds, no eight strangers differ in two colours from the demo's people and among themselves."""
    known = distinct_faces(40, random.Random(seed))
    strangers = distinct_faces(8, random.Random(f"{seed}/unseen"), besides=known)
    assert len(strangers) == 8
    alike = 0
    for one, other in combinations(known + strangers, 2):
        names = ("hair", "shirt", "background", "style", "extra")
        differ = [getattr(one, name) != getattr(other, name) for name in names]
        assert sum(differ) >= 2 and any(differ[:3])
        alike += sum(differ[:3]) < 2
    assert 0 < alike < 20


def test_more_people_than_faces_that_differ_are_refused():
    with pytest.raises(UserError, match=r"400 people are more than .* room for \d+\. Ask for fewer"):
        distinct_faces(400, random.Random(1))
