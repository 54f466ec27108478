"""The evidence bundle as a file: its bytes, and what is said of one that was changed."""

import zipfile
from pathlib import Path

import pytest

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.evidence import bundle
from viker.evidence.bundle import pack, unpack

GOLDEN = "9f1176223d2669f704e6f61ac651193f2129a9f260c05ec294c52cec02cbe12d"
FILES = {f"{name}.json": b"{}\n" for name in "abcdefgh"}


def unpacked(folder: Path) -> Path:
    """Return a folder with what a bundle holds, to be changed."""
    (folder / "evidence.zip").write_bytes(pack(FILES))
    with zipfile.ZipFile(folder / "evidence.zip") as archive:
        archive.extractall(folder / "evidence")
    return folder / "evidence"


def test_its_bytes_are_those_of_earlier_versions() -> None:
    """Or bundles that were written and signed before would not verify any more."""
    assert sha256_bytes(pack({"b.json": b"{}\n", "a.txt": b"one\n"})) == GOLDEN


def test_a_folder_with_its_files_is_as_good_as_the_file(tmp_path: Path) -> None:
    assert unpack(unpacked(tmp_path)) == unpack(tmp_path / "evidence.zip") == FILES


@pytest.mark.parametrize(("removed", "more"), [("abcde", ""), ("abcdef", "; and 1 more"), ("abcdefgh", "; and 3 more")])
def test_five_differences_are_named_in_order_and_the_others_counted(tmp_path: Path, removed: str, more: str) -> None:
    folder = unpacked(tmp_path)
    for name in removed:
        (folder / f"{name}.json").unlink()
    named = "; ".join(f"{name}.json is missing" for name in "abcde")
    with pytest.raises(UserError, match=rf"not as it was written: {named}{more}\. "):
        unpack(folder)


def test_what_was_added_or_changed_is_named(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    (folder / "z.txt").write_text("?")
    (folder / "c.json").write_text("[]\n")
    with pytest.raises(UserError, match=r"'z\.txt' was added; c\.json: SHA-256 \w{12}…, written with \w{12}…\. "):
        unpack(folder)


def test_a_file_too_large_for_a_bundle_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(tmp_path)
    size = (tmp_path / "evidence.zip").stat().st_size
    monkeypatch.setattr(bundle, "LARGEST", size)
    assert unpack(tmp_path / "evidence.zip") == FILES
    monkeypatch.setattr(bundle, "LARGEST", size - 1)
    with pytest.raises(UserError, match="larger than 0 MiB, so not an evidence bundle"):
        unpack(tmp_path / "evidence.zip")
