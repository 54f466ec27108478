"""Ways to damage a benchmark in the folder ``benchmark``, and pictures of every unwelcome kind."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def edit(configuration: str, row: int, damage: Callable[[dict[str, Any]], object]) -> None:
    """Apply ``damage`` to one row of the first shard of a configuration."""
    path = min((Path("benchmark") / configuration).glob("*.parquet"))
    table = pq.read_table(path)
    content = table.to_pylist()
    damage(content[row])
    pq.write_table(pa.Table.from_pylist(content, schema=table.schema), path)


def put(*keys: Any) -> Callable[[dict[str, Any]], object]:
    """Return a damage that sets the value at a path of keys; the last argument is the value."""
    *path, last, value = keys

    def damage(row: dict[str, Any]) -> None:
        target: Any = row
        for key in path:
            target = target[key]
        target[last] = value

    return damage


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in about 40 kB: one header, one short run of zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    side = (30_000).to_bytes(4, "big")
    header = chunk(b"IHDR", side + side + bytes([8, 2, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(40_000_000), 9)) + chunk(b"IEND", b"")


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8))
PNG, JPEG = encoded(NOISE, "PNG"), encoded(NOISE, "JPEG", quality=95)
ANIMATED = encoded(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(90)])
DOT = encoded(Image.new("RGB", (1, 1)), "PNG")


def portrait(seed: int) -> bytes:
    """A small PNG that looks like no other seed's."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8))
    return encoded(coarse.resize((24, 24), Image.Resampling.BICUBIC), "PNG")


def assert_said(said: str, *parts: str) -> None:
    assert said.startswith("error: ")
    assert said.strip().count("\n") == 0
    for part in parts:
        assert part in said, said


def assert_nothing_written() -> None:
    top = {path.name for path in Path.cwd().iterdir()} - {"benchmark", "params.yaml", "data"}
    assert not top
    assert not Path("data").exists() or not list(Path("data").iterdir())
