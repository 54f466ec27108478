"""The cache of results: whole entries alone, for the same inputs alone, private, and no larger than it may be."""

import os

import pytest

from viker.core.errors import UserError
from viker.core.result_cache import SEAL, SIZE, cached, keep, key_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VIKER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(SIZE, "1")
    return tmp_path / "cache"


def put(key: str, content: bytes = b"x") -> None:
    keep(key, lambda folder: (folder / "a").write_bytes(content))


def has(key: str) -> bool:
    with cached(key, "the answers") as entry:
        return entry is not None


def test_an_entry_is_found_by_all_that_decides_it_and_is_its_owners_alone(folder, caplog):
    key = key_of("teacher", {"seed": 1, "data": "a"})
    put(key)
    assert has(key) and f"{SIZE}=0 asks again" in caplog.text
    assert key == key_of("teacher", {"data": "a", "seed": 1})
    for other in (("vanilla", {"seed": 1, "data": "a"}), ("teacher", {"seed": 2, "data": "a"})):
        assert not has(key_of(*other))
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.rglob("*")))


@pytest.mark.parametrize("broken", ["a", SEAL])
def test_a_torn_entry_is_not_used(folder, broken):
    put("one")
    (folder / "one" / broken).write_bytes(b"torn")
    assert not has("one") and not (folder / "one").exists()


def test_what_was_not_used_for_longest_goes_first(folder, monkeypatch):
    for age, name in enumerate(("first", "second")):
        put(name, bytes(600))
        os.utime(folder / name / SEAL, (age, age))
    assert has("first")
    monkeypatch.setenv(SIZE, str(1600 / 2**30))
    put("third", bytes(600))
    assert has("first") and has("third") and not has("second")


def test_zero_switches_it_off(folder, monkeypatch):
    put("one")
    monkeypatch.setenv(SIZE, "0")
    put("two")
    assert not has("one") and not (folder / "two").exists()
    monkeypatch.setenv(SIZE, "much")
    with pytest.raises(UserError, match="VIKER_CACHE_GIB is 'much': expected a number of GiB"):
        put("three")


def test_a_cache_that_cannot_be_written_is_a_warning(folder, caplog):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file in its place")
    put("key")
    assert "nothing is kept there for later runs" in caplog.text and folder.is_file()


def test_a_torn_write_leaves_no_entry(folder, caplog):
    def torn(there):
        (there / "a").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    keep("key", torn)
    assert "No space left on device" in caplog.text and not has("key") and not list(folder.iterdir())
