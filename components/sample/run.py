"""The irrelevant images, and the evidence that none of them shows a person of the data."""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from components.common.errors import UserError
from components.common.files import new_folder, sha256_bytes, write_json
from components.common.params import SampleParams
from components.common.records import open_picture, read_pictures
from components.sample.draw import draw_noise, draw_pet, draw_scene

DRAWN: dict[str, Callable[[random.Random], Image.Image]] = {
    "scene": draw_scene,
    "pet": draw_pet,
    "noise": draw_noise,
}
PHOTOS = (
    *("brick.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "page.png", "rocket.jpg", "text.png"),
)
"""Photographs that come with scikit-image and show nobody."""
NEAR = 4.0
"""Two pictures are near where their 16 x 16 thumbnails differ by less than this on average, of 255."""


def run(params: SampleParams, seed: int, prepared: Path, out: Path) -> dict[str, Any]:
    """Write ``params.k`` images, the kinds in turn, and manifest.json to ``out``; return the manifest.

    Raises:
        UserError: the user's folder is missing, empty or holds no pictures, or too few images are left.
    """
    known = [_thumbnail(open_picture(content)) for content in read_pictures(prepared).values()]
    rng = random.Random(seed)
    sources = [(kind, candidates(kind, params.folder, rng)) for kind in params.kinds]
    chosen: list[dict[str, str]] = []
    refused: list[dict[str, str]] = []
    with new_folder(out) as folder:
        while len(chosen) < params.k:
            kind, source = sources[len(chosen) % len(sources)]
            origin, image = next(source, ("", None))
            if image is None:
                raise UserError(
                    f"sample.k is {params.k}, but the kind '{kind}' has only {len(chosen)} images that show nobody "
                    "of the data. Lower sample.k, or add images or kinds."
                )
            if any(np.abs(_thumbnail(image) - other).mean() < NEAR for other in known):
                refused.append({"origin": origin, "kind": kind, "reason": "near a picture of the data"})
                continue
            content = _png(image)
            name = f"{len(chosen):03d}-{kind}.png"
            (folder / name).write_bytes(content)
            chosen.append({"file": name, "kind": kind, "origin": origin, "sha256": sha256_bytes(content)})
        manifest = {
            "kinds": list(params.kinds),
            "k": params.k,
            "seed": seed,
            "images": chosen,
            "checked_against": len(known),
            "refused": refused,
        }
        write_json(folder / "manifest.json", manifest)
    return manifest


def candidates(kind: str, folder: str | None, rng: random.Random) -> Iterator[tuple[str, Image.Image]]:
    """Yield (origin, image) of one kind: without end where they are drawn, else each once in random order."""
    if kind in DRAWN:
        number = 0
        while True:
            yield f"drawn {kind} {number}", DRAWN[kind](rng)
            number += 1
    elif kind == "photo":
        yield from _photos(rng)
    else:
        yield from _from_folder(folder, rng)


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


def _from_folder(folder: str | None, rng: random.Random) -> Iterator[tuple[str, Image.Image]]:
    if folder is None or not Path(folder).is_dir():
        raise UserError(f"sample.folder is {folder!r}: no such folder; the kind 'folder' takes its images from there.")
    root = Path(folder).resolve()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if not files:
        raise UserError(f"sample.folder is '{folder}': the folder is empty. Put irrelevant images in it.")
    for path in rng.sample(files, len(files)):
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path}: leads out of sample.folder '{folder}'. Copy the image into the folder.")
        try:
            yield path.relative_to(root).as_posix(), Image.open(path).convert("RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise UserError(f"{path}: not a picture ({error}). Remove it from sample.folder.") from None


def _thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BOX), dtype=np.float32)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
