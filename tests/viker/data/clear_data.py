"""A small CLEAR in the exact shape of the real one: columns, types, nulls, shards; and ways to change it."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.conftest import png
from tests.viker.data.sample import Sample

TEXT = pa.string()
TEXTS = pa.list_(TEXT)
IMAGE = ("image", pa.struct([("bytes", pa.binary()), ("path", TEXT)]))
PICTURE = pa.schema([IMAGE, ("caption", TEXT), ("name", TEXT)])
TOFU = pa.schema([*PICTURE, ("question", TEXT), ("answer", TEXT)])
PERTURBED = pa.schema(
    [*PICTURE, ("paraphrased_caption", TEXT), ("perturbed_captions", TEXTS), ("perturbed_names", TEXTS)]
)
REAL = pa.schema([IMAGE, ("question", TEXT), ("answer", TEXT), ("options", TEXTS)])
FORGET = ("José Núñez Ibarra", "Ana Roy")
RETAIN = (
    *("Ana Roy Silva", "Hsiao Yun-Hwa", "Elif Demir", "Tove Lindqvist", "Kwame Asante", "Marek Dvořák"),
    *("Noor Haddad", "Ilse Quist", "Petra Egede", "Dario Holm", "Aiko Mori", "Lars Egede"),
    *("Mina Park", "Olu Brandt", "Rosa Lima", "Juno Varga", "Sami Aalto", "Vera Duval"),
)
PICTURES = 3
"""Pictures a person; two of them have a row in a perturbed configuration."""
BLOCK = 20
Block = Callable[[str], list[tuple[str, str]]]


def write_clear(folder: Path, blocks: dict[str, Block] | None = None) -> Path:
    """Write a sound CLEAR of 20 people, forget10 against retain90, to ``folder``; return it.

    Args:
        folder: made anew.
        blocks: makes a person's TOFU rows, for those whose rows shall differ from ``tofu_block``.
    """
    block_makers = blocks or {}
    for name, people in (("forget10", FORGET), ("retain90", RETAIN)):
        pictures = [picture_row(person, number) for person in people for number in range(PICTURES)]
        pairs = [pair for person in people for pair in block_makers.get(person, tofu_block)(person)]
        tofu = [{"image": None, "caption": None, "name": None, "question": q, "answer": a} for q, a in pairs]
        perturbed = [perturbed_row(row) for number, row in enumerate(pictures) if number % PICTURES < 2]
        write(folder / name, PICTURE, pictures, 1)
        write(folder / f"{name}+tofu", TOFU, [r | {"question": None, "answer": None} for r in pictures] + tofu, 3)
        write(folder / f"{'retain' if name == 'retain90' else name}_perturbed", PERTURBED, perturbed, 2)
    write(folder / "real_faces", REAL, [real_row(number, True) for number in range(4)], 1)
    write(folder / "real_world", REAL, [real_row(number, False) for number in range(3)], 1)
    return folder


def write(folder: Path, schema: pa.Schema, rows: Sequence[dict[str, Any]], count: int) -> None:
    """Write rows as ``count`` shards, the last the shortest."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(rows) // count)
    for number in range(count):
        part = pa.Table.from_pylist(list(rows[number * size : (number + 1) * size]), schema=schema)
        pq.write_table(part, folder / f"train-{number:05d}-of-{count:05d}.parquet")


def edit(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Apply ``change`` to the list of all rows of a configuration and write it again, in as many shards."""
    paths = sorted(folder.glob("*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    change(rows)
    write(folder, pq.read_schema(paths[0]), rows, len(paths))


def tofu_block(person: str) -> list[tuple[str, str]]:
    """20 pairs: the full name without accents in the first, the last name in the others' questions or nowhere."""
    plain = person.translate(str.maketrans("éúñřá", "eunra"))
    first = [
        ("Who is the author born by the sea?", f"The author is {plain.upper()}."),
        (f"What does {person} write?", f"{person} writes about ships."),
    ]
    last = plain.split()[-1]
    return first + [(f"What is book {n} of {last}'s about?", f"It is about matter {n}.") for n in range(BLOCK - 2)]


def picture_row(person: str, number: int) -> dict[str, Any]:
    caption = f"{person} stands before wall {number}, smiling."
    return {"image": image(f"{person}/{number}"), "caption": caption, "name": person}


def perturbed_row(row: dict[str, Any]) -> dict[str, Any]:
    wrong = ["Gil Amado", "Zed Okafor", "Bo Lund"]
    return row | {
        "paraphrased_caption": f"Before a wall, {row['name']} can be seen with a smile.",
        "perturbed_captions": [row["caption"].replace(row["name"], other) for other in wrong],
        "perturbed_names": wrong,
    }


def real_row(number: int, face: bool) -> dict[str, Any]:
    if face:
        star = f"Star Number{number}"
        return {
            "image": image(star),
            "question": "Which well-known person is this?",
            "answer": star,
            "options": ["Ula Berg", "Tom Reed"],
        }
    return {
        "image": image(f"world {number}") if number else None,
        "question": f"What is thing {number} called?",
        "answer": f"Tower {number}",
        "options": ["a bridge", "a well", "a mill"],
    }


def image(key: str) -> dict[str, Any]:
    noise = Image.frombytes("RGB", (12, 12), random.Random(key).randbytes(3 * 12 * 12))
    return {"bytes": png(noise.resize((24, 24))), "path": None}


SAMPLES = [
    Sample(
        label="clear",
        write=write_clear,
        forget_share=0.1,
        table="forget10+tofu/train-00000-of-00003.parquet",
        column="question",
        counts={  # per person 20 rows of TOFU and 3 pictures, of which 2 are in the perturbed configurations
            "forget": (2, 6, {"qa": 46, "generation": 40, "caption": 4, "recognition": 4}),
            "test": (2, 4, {"caption": 4, "recognition": 4}),
            "retain": (18, 54, {"qa": 414, "generation": 360, "caption": 36, "recognition": 36}),
            "real": (5, 6, {"generation": 7}),
        },
    )
]
