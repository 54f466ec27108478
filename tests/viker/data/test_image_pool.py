"""Who gets which irrelevant images, and which images are refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.sample.run import run
from tests.components.sample.test_sample import settings
from tests.viker.data.damage import ANIMATED, DOT, JPEG, bomb, encoded
from viker.core.errors import UserError
from viker.data.irrelevant.assignment import images_of, read_irrelevant
from viker.data.irrelevant.pool import assign
from viker.data.irrelevant.resemblance import DataPictures
from viker.data.records import open_picture, read_pictures, read_records


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def pattern(seed: int, side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8))


def test_where_the_pool_holds_k_images_every_question_gets_all_of_them(prepared, tmp_path):
    run(settings("scene", k=3), 3, prepared, tmp_path / "out")
    pictures, assigned = read_irrelevant(tmp_path / "out")
    assert set(assigned) == {record.id for record in read_records(prepared, "forget")}
    assert set(assigned.values()) == {tuple(pictures)}


def test_a_question_gets_k_different_images_whatever_the_order_of_the_questions():
    records, files = [f"r{i}" for i in range(200)], [f"{i:03d}.png" for i in range(10)]
    one = assign(records, files, 4, seed=1)
    assert all(len(set(mine)) == 4 and set(mine) <= set(files) for mine in one.values())
    assert one == assign(records[::-1], files[::-1], 4, seed=1)
    assert one["r7"] == assign(["r7"], files, 4, seed=1)["r7"]
    assert one != assign(records, files, 4, seed=2)


def test_every_image_of_the_pool_is_used_about_as_often():
    files = [f"{i}.png" for i in range(10)]
    used = [file for mine in assign([str(i) for i in range(2000)], files, 5, seed=1).values() for file in mine]
    assert all(900 < used.count(file) < 1100 for file in files)


@pytest.mark.parametrize("change", ["re-encoded", "smaller", "lighter"])
@pytest.mark.parametrize("split", ["forget", "test", "retain", "real"])
def test_a_changed_picture_of_any_split_is_refused_with_what_it_resembles(prepared, tmp_path, mine, split, change):
    key = next(key for record in read_records(prepared, split) for key in record.images)
    image = open_picture(read_pictures(prepared)[key])
    changed = {
        "re-encoded": lambda: encoded(image, "JPEG", quality=80),
        "smaller": lambda: encoded(image.resize((image.width // 2, image.height // 2)), "PNG"),
        "lighter": lambda: encoded(image.point(lambda value: min(255, value + 6)), "PNG"),
    }[change]()
    (mine / "person").write_bytes(changed)
    pattern(1).save(mine / "noise.png")
    manifest = run(settings("folder", k=1, folder=mine), 1, prepared, tmp_path / "out")
    known = DataPictures(prepared)
    reason, nearest = known.compare(changed, "")
    assert reason == "looks like a picture of the data"
    assert nearest["split"] == known.splits[nearest["picture"]]
    assert [image["origin"] for image in manifest["images"]] == ["noise.png"]
    assert all(image["nearest"]["tone"] > 4 for image in manifest["images"])


def test_the_very_file_of_a_picture_is_named_as_the_same(prepared):
    key, content = next(iter(read_pictures(prepared).items()))
    reason, nearest = DataPictures(prepared).compare(content, key)
    assert reason == "the same as a picture of the data"
    assert (nearest["picture"], nearest["bits"], nearest["tone"]) == (key, 0, 0.0)


def test_bad_files_are_refused_with_a_reason_and_the_rest_is_used(prepared, tmp_path, mine):
    bad = {"cut.jpg": JPEG[: len(JPEG) // 2], "moving.gif": ANIMATED, "bomb.png": bomb(), "notes.txt": b"no picture"}
    for name, content in (bad | {"dot.png": DOT}).items():
        (mine / name).write_bytes(content)
    for seed in range(3):
        pattern(seed).save(mine / f"good-{seed}.png")
    (mine / "twin.png").write_bytes((mine / "good-0.png").read_bytes())
    with pytest.raises(UserError, match=r"only 3 images.*Refused were 6"):
        run(settings("folder", k=1, pool=4, folder=mine), 1, prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest = run(settings("folder", k=1, pool=3, folder=mine), 1, prepared, tmp_path / "out")
    assert len(manifest["images"]) == 3
    assert all(image["reason"] for image in manifest["refused"])


def test_a_large_photograph_is_made_smaller_and_the_bytes_are_the_same_each_time(prepared, tmp_path, mine):
    pattern(1, side=1500).save(mine / "large.jpg")
    runs = [run(settings("folder", k=1, folder=mine), 1, prepared, tmp_path / name) for name in "ab"]
    assert runs[0] == runs[1]
    with Image.open(tmp_path / "a" / runs[0]["images"][0]["file"]) as image:
        assert (image.format, image.size) == ("PNG", (1024, 1024))


def test_a_parquet_file_in_the_folder_gives_its_pictures(prepared, tmp_path, mine):
    column = [{"bytes": encoded(pattern(seed), "PNG"), "path": None} for seed in range(5)]
    pq.write_table(pa.table({"image": column}), mine / "shard.parquet", row_group_size=2)
    manifest = run(settings("folder", k=5, folder=mine), 1, prepared, tmp_path / "out")
    assert sorted(image["origin"] for image in manifest["images"]) == [f"shard.parquet, row {i}" for i in range(5)]


@pytest.mark.parametrize("kind", ["forget", "retain"])
def test_people_of_the_data_are_marked_as_an_ablation(prepared, tmp_path, kind):
    manifest = run(settings(kind, "scene", k=2), 1, prepared, tmp_path / "out")
    assert manifest["ablation"]
    assert [image["ablation"] for image in manifest["images"]] == [True, False]
    assert manifest["images"][0]["nearest"]["split"] == kind
    assert not run(settings("scene", k=2), 1, prepared, tmp_path / "scenes")["ablation"]


def test_an_assignment_that_does_not_fit_is_an_error(prepared, tmp_path):
    run(settings("scene", k=2), 1, prepared, tmp_path / "out")
    _, assigned = read_irrelevant(tmp_path / "out")
    with pytest.raises(UserError, match=r"'someone/qa/0'.*viker sample"):
        images_of(assigned, ["someone/qa/0"])
    (tmp_path / "out/000-scene.png").unlink()
    with pytest.raises(UserError, match=r"assigned\.parquet.*000-scene\.png"):
        read_irrelevant(tmp_path / "out")
    (tmp_path / "out/assigned.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"assigned\.parquet.*viker sample"):
        read_irrelevant(tmp_path / "out")


def test_images_come_from_an_s3_prefix_with_their_address_as_origin(prepared, tmp_path, s3, bucket):
    for number in range(4):
        s3.put_object(Bucket=bucket, Key=f"scenes/{number}.png", Body=encoded(pattern(number), "PNG"))
    s3.put_object(Bucket=bucket, Key="scenes/broken.png", Body=b"no picture")
    uri = f"s3://{bucket}/scenes"
    manifest = run(settings("folder", k=4, folder=uri), 3, prepared, tmp_path / "out", tmp_path / "cache")
    assert {image["origin"] for image in manifest["images"]} == {f"{uri}/{number}.png" for number in range(4)}
    assert all(image["origin"] == f"{uri}/broken.png" for image in manifest["refused"])


def test_a_prefix_without_objects_is_named_with_the_parameter(prepared, tmp_path, bucket):
    with pytest.raises(UserError, match=rf"sample\.folder: .*{bucket}/none"):
        run(settings("folder", folder=f"s3://{bucket}/none"), 3, prepared, tmp_path / "out", tmp_path / "cache")
    assert not (tmp_path / "out").exists()
