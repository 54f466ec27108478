"""The pool of irrelevant images: gathered kind by kind, each checked against the pictures of the data."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.data.irrelevant.resemblance import DataPictures
from viker.data.irrelevant.sources import ABLATIONS, SourceImage, source
from viker.data.pictures.checks import BadPicture, check
from viker.data.records import as_png, open_picture
from viker.data.settings import SampleParams

MOST_SIDE = 1024
"""Pixels; larger images are made smaller."""
MOST_BYTES = 64 * 2**20
Entry = dict[str, Any]
"""What the manifest says of an image: ``kind``, ``origin``, ``ablation``, and as far as it was checked ``nearest``,
``sha256``, ``file`` or ``reason``."""


def gather(
    params: SampleParams, seed: int, prepared: Path, data: DataPictures, folder: Path, cache: Path
) -> tuple[list[Entry], list[Entry]]:
    """Write ``params.pool`` images to ``folder``, the kinds in turn; return the entries of those and of the refused.

    An image is named ``NUMBER-KIND.png``. ``seed`` decides what is drawn, and in which order images are tried; the
    kinds that show people of the data take them from ``prepared``; no other image may resemble a picture of ``data``.
    ``cache`` keeps what is fetched of a folder that isn't local.

    Raises UserError: a source can't be used, or has too few images that show nobody of the data.
    """
    rng = random.Random(seed)
    sources = [(kind, source(kind, params, prepared, cache, rng)) for kind in params.kinds]
    pool: list[Entry] = []
    refused: list[Entry] = []
    hashes: set[str] = set()
    with tqdm(total=params.pool, desc="irrelevant images", unit="image", leave=False, delay=2) as bar:
        while len(pool) < params.pool:
            kind, images = sources[len(pool) % len(sources)]
            origin, image = next(images, ("", None))
            if image is None:
                number = sum(entry["kind"] == kind for entry in pool)
                reasons = [f"{entry['origin']}: {entry['reason']}" for entry in refused if entry["kind"] == kind]
                some = "; ".join([*reasons[:3], *(["…"] if len(reasons) > 3 else [])])
                listed = f" Refused were {len(reasons)}: {some}." if reasons else ""
                raise UserError(
                    f"sample.pool is {params.pool}, but the kind '{kind}' has only {number} images that can be used "
                    f"and show nobody of the data.{listed} Lower sample.pool, or add images or kinds."
                )
            entry: Entry = {"kind": kind, "origin": origin, "ablation": kind in ABLATIONS}
            try:
                content, original = encode(image)
                reason, entry["nearest"] = data.compare(content, original)
            except BadPicture as bad:
                refused.append(entry | {"reason": str(bad)})
                continue
            entry["sha256"] = sha256_bytes(content)
            if entry["sha256"] in hashes:
                refused.append(entry | {"reason": "already in the pool"})
            elif reason is not None and not entry["ablation"]:
                refused.append(entry | {"reason": reason})
            else:
                name = f"{len(pool):0{max(3, len(str(params.pool - 1)))}d}-{kind}.png"
                (folder / name).write_bytes(content)
                pool.append(entry | {"file": name})
                hashes.add(entry["sha256"])
                bar.update()
    return pool, refused


def encode(image: SourceImage) -> tuple[bytes, str]:
    """Return an image as PNG of at most ``MOST_SIDE`` pixels a side, and the SHA-256 of what it was made from.

    Raises BadPicture: it can't be read, or is not a picture, cut off, animated, too large or too small.
    """
    if isinstance(image, Image.Image):
        drawn = as_png(image)
        return drawn, sha256_bytes(drawn)
    if isinstance(image, Path):
        try:
            if image.stat().st_size > MOST_BYTES:
                raise BadPicture(f"more than {MOST_BYTES} bytes; make it smaller")
            image = image.read_bytes()
        except OSError as error:
            raise BadPicture(f"can't be read ({error.strerror})") from None
    check(image)
    try:
        decoded = open_picture(image, draft=(MOST_SIDE, MOST_SIDE))
    except Exception as error:  # Pillow's decoders raise anything on bytes from outside
        raise BadPicture(f"damaged ({error}); fetch it again") from None
    decoded.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return as_png(decoded), sha256_bytes(image)


def assign(records: Sequence[str], files: Sequence[str], k: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Return k of the files for each record, without replacement, sorted by name.

    Which ones depends on seed, record and files alone, not on the other records or their order. They are sorted so that
    records with the same images share the teacher's work; its mean doesn't depend on their order.
    """
    pool = sorted(files)
    return {record: tuple(sorted(random.Random(f"{seed} {record}").sample(pool, k))) for record in records}
