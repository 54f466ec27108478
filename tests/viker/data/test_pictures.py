"""Pictures on their way in: read right, or refused before they cost anything."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.viker.data.damage import ANIMATED, JPEG, PNG, bomb, encoded
from viker.data.pictures.checks import BadPicture, check, fingerprint
from viker.data.records import open_picture, read_pictures

ROOT = Path(__file__).parents[3]

GREY16 = Image.fromarray(np.linspace(0, 65535, 1600).astype(np.uint16).reshape(40, 40))
RED = Image.new("RGB", (20, 10), (200, 10, 10))
UNUSUAL = {
    "CMYK": (encoded(RED.convert("CMYK"), "JPEG", quality=100), (20, 10), (200, 10, 10)),
    "palette": (encoded(RED.convert("P"), "PNG"), (20, 10), (200, 10, 10)),
    "16-bit": (encoded(GREY16, "PNG"), (40, 40), (0, 0, 0)),
    "transparent": (encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), "PNG"), (10, 10), (255, 255, 255)),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_pictures_are_read_right(kind):
    content, size, colour = UNUSUAL[kind]
    check(content)
    image = open_picture(content)
    assert (image.mode, image.size) == ("RGB", size)
    assert max(abs(a - b) for a, b in zip(image.getpixel((0, 0)), colour, strict=True)) < 12


def test_a_picture_of_16_bits_keeps_its_shades():
    image = open_picture(UNUSUAL["16-bit"][0])
    assert image.getpixel((39, 39)) == (255, 255, 255)
    assert 120 < image.getpixel((0, 20))[0] < 136


def test_an_exif_rotated_picture_stands_upright():
    turned = Image.Exif()
    turned[0x0112] = 6
    assert open_picture(encoded(RED, "JPEG", exif=turned)).size == (10, 20)


def test_a_picture_bomb_costs_under_200_mb_before_it_is_refused(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb())
    assert (tmp_path / "bomb.png").stat().st_size < 50_000
    code = (
        "import sys\n"
        "from pathlib import Path; from viker.data.pictures.checks import BadPicture, check\n"
        "from viker.core.peak_memory import peak_bytes\n"
        "before = peak_bytes()\n"
        "try: check(Path(sys.argv[1]).read_bytes())\n"
        "except BadPicture as bad:\n"
        "    used = peak_bytes() - before\n"
        "    print(used, bad)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "bomb.png"], cwd=ROOT, capture_output=True, text=True)
    used, said = done.stdout.split(" ", 1)
    assert "more than 50000000" in said
    assert int(used) < 200_000_000


def test_a_png_with_any_bit_of_its_pixels_turned_is_damaged():
    whole = encoded(Image.new("RGB", (60, 60), "teal"), "PNG")
    pixels = whole.index(b"IDAT") + 4
    for place in range(pixels, whole.index(b"IEND") - 4):
        with pytest.raises(BadPicture, match=r"^damaged \(.*fetch it again"):
            check(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])


@pytest.mark.parametrize("progressive", [False, True])
def test_fill_bytes_before_the_markers_of_a_jpeg_change_nothing_and_its_end_is_needed(progressive):
    picture = encoded(Image.effect_noise((64, 64), 80), "JPEG", progressive=progressive, quality=95)
    assert picture.count(b"\xff\x00") > 3
    end = len(picture) - 2
    filled = picture[:2] + b"\xff\xff" + picture[2:end] + b"\xff\xff\xff" + picture[end:]
    assert fingerprint(filled) == fingerprint(picture)
    check(filled)
    for cut in (filled[:-1], filled[:-2], filled[:-4], filled[:end], filled[: len(filled) // 2]):
        with pytest.raises(BadPicture, match="cut off"):
            check(cut)


@given(st.binary(max_size=300), st.sampled_from([b"", PNG[:60], JPEG[:200], ANIMATED[:80]]))
@settings(max_examples=150)
def test_random_bytes_as_a_picture_are_a_picture_or_a_bad_picture(noise, start):
    try:
        check(start + noise)
        fingerprint(start + noise)
    except BadPicture as bad:
        assert str(bad)


def test_each_picture_is_stored_once(prepared):
    assert len(set(read_pictures(prepared))) == pq.read_metadata(prepared / "pictures.parquet").num_rows
