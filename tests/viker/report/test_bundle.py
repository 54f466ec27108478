"""Whatever is changed in a bundle is seen, to the byte."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.core.errors import UserError
from viker.evidence.bundle import MANIFEST, json_bytes, pack, unpack
from viker.evidence.seal import seal

FILES = {"report.html": b"<p>\xc3\xa9</p>", "metrics/gate.json": b'{"verdict": "fail"}', "empty.csv": b""}
PACKED = pack(FILES)
NAMES = st.from_regex(r"[a-z][a-z0-9_./-]{0,12}[a-z]", fullmatch=True).filter(lambda name: name != MANIFEST)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle") / "evidence.zip"


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=5))
def test_what_was_packed_comes_out_and_packs_the_same(place: Path, files: dict[str, bytes]) -> None:
    packed = pack(files)
    place.write_bytes(packed)
    assert unpack(place) == files
    assert pack(dict(reversed(files.items()))) == packed


def _flipped(place: Path, offset: int, bits: int) -> None:
    changed = bytearray(PACKED)
    changed[offset] ^= bits
    place.write_bytes(changed)
    with pytest.raises(UserError, match=r"not as it was written|no evidence bundle"):
        unpack(place)


def test_a_change_of_any_one_byte_is_seen(place: Path) -> None:
    for offset in range(len(PACKED)):
        _flipped(place, offset, 1)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_any_change_of_a_byte_is_seen(place: Path, offset: int, bits: int) -> None:
    _flipped(place, offset, bits)


@given(st.integers(0, len(PACKED)), st.binary(min_size=1, max_size=20))
def test_bytes_put_in_are_seen(place: Path, offset: int, more: bytes) -> None:
    place.write_bytes(PACKED[:offset] + more + PACKED[offset:])
    with pytest.raises(UserError, match=r"not as it was written|no evidence bundle"):
        unpack(place)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 30))
def test_bytes_left_out_are_seen(place: Path, offset: int, count: int) -> None:
    place.write_bytes(PACKED[:offset] + PACKED[offset + count :])
    with pytest.raises(UserError):
        unpack(place)


def rezip(change: Callable[[dict[str, bytes]], object], how: int = zipfile.ZIP_STORED) -> bytes:
    """The bundle as somebody would pack it who has changed a file."""
    files = entries(PACKED)
    change(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update({"report.html": b"<p>other</p>"}), r"report\.html: SHA-256 [0-9a-f]{12}…, written with"),
        (lambda f: f.pop("empty.csv"), r"empty\.csv is missing"),
        (lambda f: f.update({"../more": b""}), r"'\.\./more' was added"),
        (lambda f: f.update({MANIFEST: f[MANIFEST].replace(b": 0,", b": 1,")}), r"manifest\.json was changed"),
        (lambda f: f.update({MANIFEST: f[MANIFEST] + b" "}), r"manifest\.json was changed"),
        (lambda f: f.update({MANIFEST: b"{}"}), r"manifest\.json can't be read"),
        (lambda f: f.update({MANIFEST: b"[" * 100_000}), r"manifest\.json can't be read"),
        (
            lambda f: f.update({MANIFEST: json_bytes(seal({"format": 9, "files": {}}))}),
            r"has format 9",
        ),
        (lambda f: f.pop(MANIFEST), r"no evidence bundle, it has no manifest"),
        (lambda f: None, r"bytes between or around them were changed"),
    ],
)
def test_the_message_says_what_differs(place: Path, change: Callable[[dict[str, bytes]], object], said: str) -> None:
    place.write_bytes(rezip(change))
    with pytest.raises(UserError, match=said):
        unpack(place)


def test_a_bundle_that_was_compressed_is_not_even_unpacked(place: Path) -> None:
    place.write_bytes(rezip(lambda files: files.update({"bomb": b"\0" * 10**6}), zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="packed again"):
        unpack(place)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_bundle_is_said_so(place: Path, content: bytes) -> None:
    place.write_bytes(content)
    with pytest.raises(UserError, match=r"never was a bundle|no evidence bundle"):
        unpack(place)


def test_a_bundle_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file\. Expected the evidence bundle"):
        unpack(tmp_path / "none.zip")


def test_the_folder_that_it_is_unpacked_to_is_checked_alike(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    with zipfile.ZipFile(io.BytesIO(PACKED)) as archive:
        archive.extractall(folder)
    assert unpack(folder) == FILES
    (folder / "report.html").write_bytes(b"other")
    with pytest.raises(UserError, match=r"report\.html: SHA-256"):
        unpack(folder)


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    with zipfile.ZipFile(io.BytesIO(PACKED)) as archive:
        archive.extractall(folder)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link: not a regular file"):
        unpack(folder)
