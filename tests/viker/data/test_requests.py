"""Forget requests: what a file must say, and that a wrong one is named with its key."""

import random
import re
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.effort import calls_of
from viker.core.errors import UserError
from viker.data.requests import REASONS, Reason, people_of, read_requests

SOUND = {
    "id": "r-1",
    "date": date(2026, 11, 1),
    "people": ["001", "002"],
    "reason": "erasure",
    "deadline": date(2026, 12, 1),
}


def put(folder: Path, name: str = "r-1", **changes: object) -> Path:
    values = {key: value for key, value in (SOUND | changes).items() if value is not ...}
    path = folder / f"{name}.yaml"
    with path.open("w") as stream:
        YAML().dump(values, stream)
    return path


def test_a_request_is_read_as_it_was_written(tmp_path):
    path = put(tmp_path, carried_out={"date": date(2026, 11, 20), "version": 3})
    request = read_requests(tmp_path)[path]
    assert request.people == ["001", "002"] and request.deadline == date(2026, 12, 1)
    assert request.carried_out is not None and request.carried_out.version == 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"people": [1]}, ["'people'", "1 is not a person's ID", "'001' in quotes"]),
        ({"people": ["001", " "]}, ["'people'", "not a person's ID"]),
        ({"people": []}, ["'people'", "at least 1 item"]),
        ({"people": "001"}, ["'people'", "valid list"]),
        ({"people": ["001", "001"]}, ["'people' names '001' twice"]),
        ({"reason": "because"}, ["'reason' is 'because'", "'erasure'", "'minor'"]),
        ({"date": "2026-11-01"}, ["'date'", "a day such as 2026-11-24, without quotes"]),
        ({"deadline": date(2026, 10, 1)}, ["'deadline' 2026-10-01 is before 'date' 2026-11-01"]),
        ({"deadline": ...}, ["missing key 'deadline'"]),
        ({"deadlin": 1}, ["unknown key 'deadlin'", "did you mean 'deadline'"]),
        ({"id": "../r"}, ["'id'", "../r"]),
        ({"carried_out": {"date": date(2026, 11, 2), "version": 0}}, ["'carried_out.version'", "greater than"]),
        ({"carried_out": {"date": date(2026, 10, 2), "version": 1}}, ["'carried_out.date' 2026-10-02 is before"]),
        ({"carried_out": {"when": 1}}, ["unknown key 'carried_out.when'", "known here: date, version"]),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(tmp_path, changes, named):
    path = put(tmp_path, **changes)
    with pytest.raises(UserError) as caught:
        read_requests(tmp_path)
    for part in [str(path), *named]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_twice_is_named_with_both_files(tmp_path):
    first, second = put(tmp_path, "a"), put(tmp_path, "b", id="R-1")
    with pytest.raises(UserError, match=rf"{second}: 'id' is 'R-1', which is also that of {first}"):
        read_requests(tmp_path)


def test_two_requests_may_name_the_same_person_who_counts_once(tmp_path):
    put(tmp_path, "a", id="a", people=["002", "001"])
    put(tmp_path, "b", id="b", people=["002", "003"])
    assert people_of(read_requests(tmp_path).values()) == ["001", "002", "003"]


def test_a_request_is_overdue_from_the_day_after_its_deadline_until_it_is_carried_out(tmp_path):
    put(tmp_path, "a", id="a")
    put(tmp_path, "b", id="b", carried_out={"date": date(2026, 12, 3), "version": 1})
    pending, done = read_requests(tmp_path).values()
    assert not pending.is_overdue(date(2026, 12, 1))
    assert pending.is_overdue(date(2026, 12, 2))
    assert not done.is_overdue(date(2026, 12, 2))


def test_other_files_and_a_missing_folder_hold_no_requests(tmp_path):
    (tmp_path / "README.md").write_text("no: [YAML")
    assert read_requests(tmp_path) == {} == read_requests(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name",
    [
        *("A-1.YAML", "A-1.Yml", "A-1.yaml.txt", "A-1.yml.bak", "A-1.yaml~", "2026/B-1.yaml", "2026/11/B-1.yaml"),
        *("B-1", "B-1.txt", "B-1.json", "yaml/B-1"),
    ],
)
def test_a_file_that_looks_like_a_request_and_is_not_read_is_an_error(tmp_path, name):
    put(tmp_path, "sound", id="sound")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    text = (tmp_path / "sound.yaml").read_text()
    (tmp_path / name).write_text(text if ".json" not in name else '{"id": "a", "people": ["001"]}')
    with pytest.raises(UserError, match=rf"{re.escape(name)}: looks like a forget request.*move or rename it to"):
        read_requests(tmp_path)


def test_a_request_in_utf_16_under_another_name_is_an_error(tmp_path):
    (tmp_path / "request.txt").write_text("people: ['001']", encoding="utf-16")
    with pytest.raises(UserError, match="looks like a forget request"):
        read_requests(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("._r-1.yaml", ".DS_Store", ".#r-1.yaml", ".r-1.yaml.swp", "#r-1.yaml#", "r-1.yaml~", ".~lock.r-1.yaml#"),
        *("~$r-1.yaml", ".r-1.yaml.4711.tmp", "Thumbs.db", "lost+found/x.yaml", "__MACOSX/._r-1.yaml"),
        *(".git/r-1.yaml", "letter.pdf", "notes.txt", "letters/scan.png", "README.md"),
    ],
)
def test_what_is_hidden_or_no_request_is_ignored(tmp_path, name):
    path = put(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"\0\5\x16\7 whatever")
    assert list(read_requests(tmp_path)) == [path]


def test_a_link_to_nowhere_that_an_editor_makes_is_ignored(tmp_path):
    path = put(tmp_path)
    (tmp_path / ".#r-1.yaml").symlink_to("me@machine.4711")
    assert list(read_requests(tmp_path)) == [path]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    path = put(tmp_path)
    with pytest.raises(UserError, match=r"expected a folder of forget requests.*prepare\.requests"):
        read_requests(path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="expected a folder of forget requests"):
        read_requests(tmp_path / "link")


def test_the_work_for_a_request_is_in_proportion_to_its_people(tmp_path):
    def calls(people: int) -> int:
        path = put(tmp_path, people=[f"person-{number}" for number in range(people)])
        found: list[str] = []
        made = calls_of(lambda: found.extend(people_of([read_requests(tmp_path)[path]])))
        assert len(found) == people
        return made

    calls(100)
    assert calls(8_000) < 4 * 1.2 * calls(2_000)


def test_a_folder_named_like_a_request_is_a_users_error(tmp_path):
    (tmp_path / "r.yaml").mkdir()
    with pytest.raises(UserError, match=r"r\.yaml: can't be read"):
        read_requests(tmp_path)


def test_a_file_that_unfolds_to_billions_is_refused_at_once(tmp_path):
    lines = ["a: &a0 [x, x]"] + [f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    (tmp_path / "r.yaml").write_text("\n".join([*lines, "people: *a59"]))
    with pytest.raises(UserError) as caught:
        read_requests(tmp_path)
    assert len(str(caught.value)) < 3000


def test_every_reason_is_explained_in_the_code_and_beside_the_requests():
    assert set(REASONS) == set(get_args(Reason))
    text = (Path(__file__).parents[3] / "requests/README.md").read_text()
    for code, meaning in REASONS.items():
        assert f"| `{code}` | {meaning} |" in text


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes()
OBJECTS = st.recursive(
    SCALARS | st.sampled_from(["erasure", "r-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SOUND, "carried_out", "x"]), inner),
    max_leaves=12,
)


@given(st.binary(max_size=300))
@example(b"date: 2026-13-45")
@example(b"[" * 3000)
@example(b"1" * 5000)
@example(b"&a [*a]")
@example(b"people: &a [*a]")
@example(b"<<: 3")
def test_random_bytes_are_a_users_error(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "r.yaml"
    path.write_bytes(noise)
    with pytest.raises(UserError) as caught:
        read_requests(path.parent)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@given(OBJECTS, st.dictionaries(st.sampled_from([*SOUND, "carried_out"]), OBJECTS, max_size=2), st.integers())
def test_random_yaml_is_a_request_or_a_users_error(tmp_path_factory, anything, changes, seed):
    path = tmp_path_factory.mktemp("noise") / "r.yaml"
    values = anything if random.Random(seed).random() < 0.5 else SOUND | changes
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(values, stream)
    try:
        assert len(read_requests(path.parent)) == 1
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
