"""Pseudonyms: keyed, comparable with IDs by whoever has the key, and the key's file."""

import re

import pytest

from viker.core.errors import UserError
from viker.core.files import new_file, private_files
from viker.core.pseudonyms import People, is_pseudonym, privacy_folder, privacy_key, pseudonym


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VIKER_PRIVACY_DIR", str(tmp_path / "privacy"))
    return tmp_path


def test_a_pseudonym_depends_on_the_key_and_is_its_own(monkeypatch):
    first = pseudonym("001")
    assert re.fullmatch(r"P-[a-z2-7]{16}", first) and is_pseudonym(first)
    assert pseudonym("001") == pseudonym(first) == first != pseudonym("002")
    monkeypatch.setenv("VIKER_PRIVACY_KEY", "another key, of enough length")
    assert pseudonym("001") != first


def test_the_key_is_made_once_and_is_readable_by_its_owner_alone(caplog):
    assert privacy_key() == privacy_key()
    assert privacy_folder().stat().st_mode & 0o777 == 0o700
    assert (privacy_folder() / "key").stat().st_mode & 0o777 == 0o600
    assert caplog.text.count("Keep a copy") == 1


def test_a_short_key_is_refused(monkeypatch):
    monkeypatch.setenv("VIKER_PRIVACY_KEY", "short")
    with pytest.raises(UserError, match="has 5 characters; expected at least 16"):
        privacy_key()


def test_a_person_is_found_under_either_name():
    hidden, plain = People([pseudonym("001"), "002"]), People(["001", "003"])
    assert "001" in hidden and "002" in hidden and "003" not in hidden
    assert pseudonym("001") in plain and pseudonym("002") not in plain
    assert plain.without(hidden) == ["003"]
    assert hidden.without(plain) == ["002"]


def test_who_is_lacking_is_named_once_and_by_id():
    assert People(["001", pseudonym("001"), pseudonym("002")]).without([]) == sorted(["001", pseudonym("002")])


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "secret.json"
    path.write_text("old")
    path.chmod(0o600)
    with new_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o600


def test_private_files_are_their_owners_and_public_ones_are_not(tmp_path):
    public = tmp_path / "metrics/evaluate.json"
    with private_files([public]):
        for path in (public, tmp_path / "replies/all.parquet"):
            path.parent.mkdir()
            path.write_text("x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"metrics": 0o755, "evaluate.json": 0o644, "replies": 0o700, "all.parquet": 0o600}
