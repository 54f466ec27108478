"""The fingerprints that are kept between runs: used only where they are sure, and never in place of a refusal."""

import io
import random
import re
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.prepare.run import run as prepare
from components.sample.run import run as sample
from tests.components.sample.test_sample import settings as sample_settings
from tests.conftest import prepare_params
from tests.viker.data.damage import ANIMATED, DOT, JPEG, PNG, bomb, portrait
from viker.core.files import sha256_bytes, sha256_path
from viker.data.formats.base.intake import Intake
from viker.data.pictures import FINGERPRINTS, cache, checks
from viker.data.pictures.cache import FingerprintCache
from viker.data.pictures.checks import BadPicture, fingerprint
from viker.data.pictures.store import PictureStore
from viker.data.records import read_pictures, read_records

CONTENTS = [JPEG, *map(portrait, range(4))]
PIXELS = PNG.index(b"IDAT") + 4
REFUSED = {
    "cut off": JPEG[:-40],
    "cut off, PNG": PNG[: len(PNG) // 2],
    "damaged": PNG[:PIXELS] + bytes([PNG[PIXELS] ^ 1]) + PNG[PIXELS + 1 :],
    "bomb": bomb(),
    "animated": ANIMATED,
    "too small": DOT,
    "wrong format": b"%PDF-1.4\n" + PNG,
    "nothing": b"",
}


@pytest.fixture
def known(tmp_path):
    """A folder in which a run has left the fingerprints of CONTENTS."""
    keep(tmp_path / "known", CONTENTS)
    return tmp_path / "known"


@pytest.fixture
def decoded(monkeypatch):
    """The pictures of which a fingerprint is taken anew."""
    contents = []

    def noting(content):
        contents.append(content)
        return fingerprint(content)

    monkeypatch.setattr(cache, "fingerprint", noting)
    return contents


def keep(folder, contents):
    fingerprints = FingerprintCache(folder)
    fingerprints.write({sha256_bytes(content): fingerprints.fingerprint(content) for content in contents})


def test_a_known_picture_is_not_decoded_again_and_has_the_same_fingerprint(known, decoded):
    fingerprints = FingerprintCache(known)
    assert [fingerprints.fingerprint(content) for content in CONTENTS] == list(map(fingerprint, CONTENTS))
    assert decoded == []


def test_a_changed_byte_makes_another_picture(known, decoded):
    changed = bytearray(JPEG)
    changed[len(changed) // 2] ^= 1
    FingerprintCache(known).fingerprint(bytes(changed))
    assert decoded == [bytes(changed)]


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_picture_is_refused_in_the_same_words_even_if_a_fingerprint_was_forged(tmp_path, monkeypatch, kind):
    content = REFUSED[kind]
    with closing(PictureStore(tmp_path / "without.parquet")) as store, pytest.raises(BadPicture) as without:
        store.add(content)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "fingerprint", lambda content: fingerprint(PNG))
        keep(tmp_path, [content])
    store = PictureStore(tmp_path / "with.parquet", FingerprintCache(tmp_path))
    with closing(store), pytest.raises(BadPicture, match=f"^{re.escape(str(without.value))}$"):
        store.add(content)


def test_a_picture_that_cannot_be_decoded_is_refused_every_time(tmp_path):
    table = JPEG.index(b"\xff\xdb")  # a comment in place of the table of quantisation
    broken = JPEG[:table] + b"\xff\xfe" + JPEG[table + 2 :]
    for _ in range(2):
        intake = Intake(tmp_path, "exclude", 0.5, FingerprintCache(tmp_path))
        with pytest.raises(BadPicture, match="damaged"):
            intake.pictures.add(broken)
        intake.pictures.add(PNG)
        intake.close(tmp_path / "excluded.parquet")
        FingerprintCache(tmp_path).write(intake.fingerprints)


def test_a_file_that_is_torn_or_damaged_anywhere_is_not_used_and_that_is_said(known, decoded, caplog):
    path = known / FINGERPRINTS
    whole = path.read_bytes()
    places = random.Random(1).sample(range(len(whole)), 60)
    damaged = [whole[:place] for place in places]
    damaged += [whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :] for place in places]
    for content in damaged:
        path.write_bytes(content)
        caplog.clear()
        FingerprintCache(known).fingerprint(JPEG)
        assert "all pictures are decoded again" in caplog.text
    assert decoded == [JPEG] * len(damaged)


@pytest.mark.parametrize("change", ["the code", "Pillow", "a decoder"])
def test_fingerprints_of_other_code_or_decoders_are_not_used(known, decoded, tmp_path, monkeypatch, change):
    if change == "the code":
        other = tmp_path / "checks.py"
        other.write_text(Path(checks.__file__).read_text() + "\n")
        monkeypatch.setattr(checks, "__file__", str(other))
    elif change == "Pillow":
        monkeypatch.setattr(cache.PIL, "__version__", "99.0")
    else:
        monkeypatch.setattr(cache.features, "version", lambda name: "99.0")
    FingerprintCache(known).fingerprint(JPEG)
    assert decoded == [JPEG]


def kept_in(folder):
    return pq.read_table(io.BytesIO((folder / FINGERPRINTS).read_bytes()[32:]))


def test_pictures_that_left_the_data_leave_the_file_which_is_its_owners_alone(known):
    keep(known, [JPEG])
    left = kept_in(known)
    assert left["hash"].to_pylist() == [sha256_bytes(JPEG)]
    assert left.column_names == ["hash", "bits", "tones"]
    assert (known / FINGERPRINTS).stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_written_the_run_goes_on_and_says_so(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file", [JPEG])
    assert "the next run decodes all pictures again" in caplog.text


def test_prepare_and_sample_write_the_same_bytes_with_it_as_without(small_description, tmp_path, monkeypatch, decoded):
    params, known = prepare_params(source=str(small_description)), tmp_path / "known"
    hashes = []
    for name, folder in (("without", None), ("first", known), ("second", known)):
        out = tmp_path / name
        decoded.clear()
        prepare(params, 7, out / "prepared", out / "validation", known=folder)
        assert bool(decoded) == (name != "second")
        sample(sample_settings("scene", k=1), 1, out / "prepared", out / "irrelevant", known=folder)
        assert bool(decoded) == (name != "second")
        hashes.append({path.name: sha256_path(path) for path in out.iterdir()})
    assert hashes[0] == hashes[1] == hashes[2]


def test_nothing_is_kept_of_people_who_are_gone_though_the_source_still_has_them(small_description, tmp_path):
    params, known = prepare_params(source=str(small_description)), tmp_path / "known"
    prepare(params, 7, tmp_path / "all", tmp_path / "validation", known=known)
    everybody = kept_in(known)["hash"].to_pylist()
    person = read_records(tmp_path / "all", "forget")[0].person_id
    theirs = {
        key
        for split in ("forget", "test")
        for record in read_records(tmp_path / "all", split)
        if record.person_id == person
        for key in record.images
    }
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests/first.yaml").write_text(
        f"id: first\ndate: 2026-10-01\ndeadline: 2026-10-31\npeople: ['{person}']\nreason: erasure\n"
        "carried_out: {date: 2026-10-05, version: 1}\n"
    )
    left = params.model_copy(update={"requests": str(tmp_path / "requests")})
    prepare(left, 7, tmp_path / "left", tmp_path / "validation", known=known)
    pictures = read_pictures(tmp_path / "left").keys() | read_pictures(tmp_path / "left", "base_pictures").keys()
    assert set(kept_in(known)["hash"].to_pylist()) == pictures
    assert theirs <= set(everybody) and theirs.isdisjoint(pictures)
