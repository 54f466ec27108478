"""Irrelevant images: seeded, listed, and none of a person of the data."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from components.sample.run import run
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.data.irrelevant.sources import PHOTOS
from viker.data.records import read_pictures
from viker.data.settings import SampleParams


def settings(*kinds: str, k: int = 3, pool: int | None = None, folder: Path | str | None = None) -> SampleParams:
    return SampleParams(kinds=list(kinds), k=k, pool=pool or k, folder=folder and str(folder), revision=None)


@pytest.mark.parametrize("kind", ["scene", "pet", "noise", "photo"])
def test_the_manifest_lists_each_image_with_its_hash(prepared, tmp_path, kind):
    manifest = run(settings(kind), 3, prepared, tmp_path / "out")
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == manifest
    files = {path.name: sha256_path(path) for path in (tmp_path / "out").glob("*.png")}
    assert {image["file"]: image["sha256"] for image in manifest["images"]} == files
    assert len(files) == 3
    assert manifest["checked_against"] == len(read_pictures(prepared))


def test_the_seed_decides_the_bytes(prepared, tmp_path):
    hashes = [
        sha256_path(run(settings("scene", "pet", "photo"), seed, prepared, tmp_path / name) and tmp_path / name)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_kinds_take_turns(prepared, tmp_path):
    manifest = run(settings("scene", "noise", k=4), 3, prepared, tmp_path / "out")
    assert [image["kind"] for image in manifest["images"]] == ["scene", "noise", "scene", "noise"]


def test_every_named_photograph_comes_with_scikit_image():
    from skimage import data

    bundled = {path.name for path in Path(data.__file__).parent.iterdir()}
    assert [name for name in PHOTOS if name not in bundled] == []


def test_a_picture_of_the_data_is_refused_and_listed(prepared, tmp_path):
    user_folder = tmp_path / "mine"
    user_folder.mkdir()
    (user_folder / "person.png").write_bytes(next(iter(read_pictures(prepared).values())))
    Image.new("RGB", (32, 32), (9, 99, 9)).save(user_folder / "green.png")
    manifest = run(settings("folder", k=1, folder=user_folder), 5, prepared, tmp_path / "out")
    assert [image["origin"] for image in manifest["images"]] == ["green.png"]
    with pytest.raises(UserError, match=r"sample\.pool is 2.*only 1 image"):
        run(settings("folder", k=2, folder=user_folder), 5, prepared, tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("what", ["missing", "empty", "text", "link"])
def test_a_folder_that_cannot_be_used_is_named(prepared, tmp_path, what):
    user_folder = tmp_path / "mine"
    if what != "missing":
        user_folder.mkdir()
    if what == "text":
        (user_folder / "notes.txt").write_text("no picture")
    if what == "link":
        Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
        (user_folder / "inside.png").symlink_to(tmp_path / "outside.png")
    named = {"missing": "sample.folder", "empty": "sample.folder", "text": "notes.txt", "link": "inside.png"}[what]
    with pytest.raises(UserError, match=named):
        run(settings("folder", folder=user_folder), 3, prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    shutil.rmtree(user_folder, ignore_errors=True)
