"""Where irrelevant images come from, by kind: each source yields (origin, image) in random order."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from viker.core.errors import UserError
from viker.core.files import is_hidden
from viker.data.records import iter_pictures, read_records
from viker.data.settings import SampleParams
from viker.data.synthetic.scenes import draw_noise, draw_pet, draw_scene
from viker.storage import fetch, is_remote
from viker.storage.dvc_cache import is_within

SourceImage = Image.Image | Path | bytes
"""An image as its source has it: drawn, a file not yet read, or encoded."""
DRAWN: dict[str, Callable[[random.Random], Image.Image]] = {"scene": draw_scene, "pet": draw_pet, "noise": draw_noise}
ABLATIONS = ("forget", "retain")
"""Kinds that show people of the data: the paper's ablations, which make unlearning worse."""
PHOTOS = (
    *("brick.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "page.png", "rocket.jpg", "text.png"),
)
"""Photographs that come with scikit-image and show nobody."""


def source(
    kind: str, params: SampleParams, prepared: Path, cache: Path, rng: random.Random
) -> Iterator[tuple[str, SourceImage]]:
    """Yield (origin, image) of one kind: drawn ones without end, others once each, in random order.

    Raises UserError: the folder can't be used or fetched.
    """
    if kind in DRAWN:
        number = 0
        while True:
            yield f"drawn {kind} {number}", DRAWN[kind](rng)
            number += 1
    elif kind == "photo":
        yield from _photos(rng)
    elif kind in ABLATIONS:
        yield from _people(kind, params.pool, prepared, rng)
    else:
        yield from _folder(params.folder or "", params.revision, cache, rng)


def _photos(rng: random.Random) -> Iterator[tuple[str, Image.Image]]:
    from skimage import data

    faceless = [(f"scikit-image lfw_subset {100 + i}", a) for i, a in enumerate(data.lfw_subset()[100:])]
    bundled = []
    for name in PHOTOS:
        image = Image.open(Path(data.__file__).parent / name).convert("RGB")
        bundled.append((f"scikit-image {name}", np.asarray(image) / 255))
    for origin, array in rng.sample(bundled + faceless, len(bundled) + len(faceless)):
        image = Image.fromarray((np.asarray(array) * 255).round().astype(np.uint8)).convert("RGB")
        yield origin, image.resize((128, 128), Image.Resampling.BICUBIC)


def _people(split: str, count: int, prepared: Path, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    keys = sorted({key for record in read_records(prepared, split) for key in record.images})
    chosen = rng.sample(keys, min(count, len(keys)))
    content = {key: picture for key, picture in iter_pictures(prepared) if key in set(chosen)}
    for key in chosen:
        yield f"{split} {key}", content[key]


def _folder(uri: str, revision: str | None, cache: Path, rng: random.Random) -> Iterator[tuple[str, SourceImage]]:
    """Yield the files of the user's folder, of Parquet files the pictures in their column 'image'.

    The origin of those that were fetched begins with the folder's URI.
    """
    folder, origin, setting = Path(uri), "", f"sample.folder is '{uri}'"
    if is_remote(uri):
        try:
            fetched = fetch(uri, revision, cache)
        except UserError as error:
            raise UserError(f"sample.folder: {error}") from None
        folder, origin = fetched if fetched.is_dir() else fetched.parent, f"{uri.rstrip('/')}/"
    if not folder.is_dir():
        raise UserError(f"{setting}: no such folder; irrelevant images are taken from there.")
    root = folder.resolve()
    files = sorted(
        path for path in root.rglob("*") if path.is_file() and not any(map(is_hidden, path.relative_to(root).parts))
    )
    if not files:
        raise UserError(f"{setting}: the folder is empty. Put irrelevant images in it.")
    for path in rng.sample(files, len(files)):
        name = path.relative_to(root).as_posix()
        if not is_within(path, root):
            raise UserError(f"{setting}: '{name}' leads out of the folder. Copy the image into it.")
        if path.suffix == ".parquet":
            yield from ((f"{origin}{name}, row {row}", picture) for row, picture in _table(path, name, rng))
        else:
            yield f"{origin}{name}", path


def _table(path: Path, name: str, rng: random.Random) -> Iterator[tuple[int, bytes]]:
    """Yield (row, encoded picture) of a Parquet file, with no more than one row group in memory."""
    try:
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            for group in rng.sample(range(len(sizes)), len(sizes)):
                pictures = file.read_row_group(group, columns=["image"])["image"].to_pylist()
                for row in rng.sample(range(len(pictures)), len(pictures)):
                    picture = pictures[row]
                    content = picture.get("bytes") if isinstance(picture, dict) else picture
                    yield sum(sizes[:group]) + row, content if isinstance(content, bytes) else b""
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{name}: not a readable Parquet file with a column 'image' ({reason}). Remove it, or fetch it again."
        ) from None
