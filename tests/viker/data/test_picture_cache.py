"""What is kept of pictures between runs: used only where it is sure, and never in place of a refusal."""

import io
import random
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.prepare.run import run as prepare
from components.sample.run import run as sample
from tests.components.sample.test_sample import settings as sample_settings
from tests.conftest import prepare_params
from tests.viker.data.damage import ANIMATED, DOT, JPEG, PNG, bomb, portrait
from viker.core.files import sha256_bytes, sha256_path
from viker.data.pictures import FINGERPRINTS, cache, checks
from viker.data.pictures.cache import PictureCache
from viker.data.pictures.checks import BadPicture
from viker.data.pictures.store import look_at

CONTENTS = [JPEG, *map(portrait, range(4))]
REFUSED = {
    "cut off": JPEG[:-40],
    "cut off, PNG": PNG[: len(PNG) // 2],
    "damaged": PNG[:80] + bytes([PNG[80] ^ 1]) + PNG[81:],
    "damaged pixels": PNG[: PNG.index(b"IDAT") + 4] + b"\0" + PNG[PNG.index(b"IDAT") + 5 :],
    "bomb": bomb(),
    "animated": ANIMATED,
    "too small": DOT,
    "wrong format": b"%PDF-1.4\n" + PNG,
    "nothing": b"",
}


@pytest.fixture
def known(tmp_path):
    """A folder in which a run has left what it knows of CONTENTS."""
    looks = PictureCache(tmp_path / "known")
    for content in CONTENTS:
        looks.look_at(content)
    looks.write()
    return tmp_path / "known"


@pytest.fixture
def looked_at(monkeypatch):
    """The pictures that are checked and decoded, rather than known."""
    seen = []

    def look(content, key=""):
        seen.append(content)
        return look_at(content, key)

    monkeypatch.setattr(cache, "look_at", look)
    return seen


def test_a_known_picture_is_not_decoded_again_and_has_the_same_measures(known, looked_at):
    looks = PictureCache(known)
    assert [looks.look_at(content) for content in CONTENTS] == [look_at(content) for content in CONTENTS]
    assert looked_at == []


def test_a_changed_byte_is_another_picture(known, looked_at):
    changed = bytearray(JPEG)
    changed[len(changed) // 2] ^= 1
    looks = PictureCache(known)
    looks.look_at(bytes(changed))
    assert looked_at == [bytes(changed)]
    cut = JPEG[:-2]
    with pytest.raises(BadPicture, match="cut off"):
        looks.look_at(cut)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_picture_is_refused_in_the_same_words_every_time(tmp_path, kind):
    with pytest.raises(BadPicture) as without:
        look_at(REFUSED[kind])
    for _ in range(2):
        looks = PictureCache(tmp_path)
        looks.look_at(PNG)
        with pytest.raises(BadPicture, match=f"^{re.escape(str(without.value))}$"):
            looks.look_at(REFUSED[kind])
        looks.write()


def test_a_file_that_is_torn_or_changed_anywhere_is_not_used_and_that_is_said(known, looked_at, caplog):
    path = known / FINGERPRINTS
    whole = path.read_bytes()
    places = random.Random(1).sample(range(len(whole)), 60)
    damaged = [whole[:place] for place in places] + [
        whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :] for place in places
    ]
    for content in damaged:
        path.write_bytes(content)
        caplog.clear()
        PictureCache(known).look_at(JPEG)
        assert "all pictures are checked anew" in caplog.text
    assert looked_at == [JPEG] * len(damaged)


@pytest.mark.parametrize("change", ["checks", "Pillow", "a decoder"])
def test_what_other_checks_or_decoders_found_out_is_not_used(known, looked_at, tmp_path, monkeypatch, change):
    if change == "checks":
        other = tmp_path / "checks.py"
        other.write_text(Path(checks.__file__).read_text() + "\n")
        monkeypatch.setattr(checks, "__file__", str(other))
    elif change == "Pillow":
        monkeypatch.setattr(cache.PIL, "__version__", "99.0")
    else:
        monkeypatch.setattr(cache.features, "version", lambda name: "99.0")
    PictureCache(known).look_at(JPEG)
    assert looked_at == [JPEG]


def test_pictures_that_left_the_data_leave_the_file(known):
    looks = PictureCache(known)
    looks.look_at(JPEG)
    looks.write()
    left = pq.read_table(io.BytesIO((known / FINGERPRINTS).read_bytes()[32:]))
    assert left["hash"].to_pylist() == [sha256_bytes(JPEG)]
    assert left.column_names == ["hash", "width", "height", "bits", "tones"]
    assert (known / FINGERPRINTS).stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_written_the_run_goes_on_and_says_so(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    looks = PictureCache(tmp_path / "file")
    looks.look_at(JPEG)
    looks.write()
    assert "the next run checks all pictures anew" in caplog.text


def test_prepare_and_sample_write_the_same_with_it_as_without(small_description, tmp_path, monkeypatch, looked_at):
    params, known = prepare_params(source=str(small_description)), tmp_path / "known"
    hashes = []
    for name, folder in (("without", None), ("first", known), ("second", known)):
        out = tmp_path / name
        looked_at.clear()
        prepare(params, 7, out / "prepared", out / "validation", known=folder)
        assert bool(looked_at) == (name != "second")
        if name == "second":
            monkeypatch.setattr(cache, "fingerprint", lambda content: pytest.fail("decoded again"))
        sample(sample_settings("scene", k=1), 1, out / "prepared", out / "irrelevant", known=folder)
        hashes.append({path.name: sha256_path(path) for path in out.iterdir()})
    assert hashes[0] == hashes[1] == hashes[2]
