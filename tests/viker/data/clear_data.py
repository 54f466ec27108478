"""A small CLEAR in the published form (``published.CLEAR``), or in that of its first commits; and ways to change it."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from tests.conftest import png
from tests.viker.data.published import CLEAR, CLEAR_FIRST_COMMITS, Rows, scaled, write, write_benchmark
from tests.viker.data.sample import Sample

FORGET = ("José Núñez Ibarra", "Ana Roy")
RETAIN = (
    *("Ana Roy Silva", "Hsiao Yun-Hwa", "Elif Demir", "Tove Lindqvist", "Kwame Asante", "Marek Dvořák"),
    *("Noor Haddad", "Ilse Quist", "Petra Egede", "Dario Holm", "Aiko Mori", "Lars Egede"),
    *("Mina Park", "Olu Brandt", "Rosa Lima", "Juno Varga", "Sami Aalto", "Vera Duval"),
)
PEOPLE = 200
"""As published; so many of them are to be forgotten: 1, 5 or 10 per cent."""
FACTOR = 10
PICTURES = 19
"""Pictures of each of the first people, with that factor."""
BLOCK = 20
Block = Callable[[str], list[tuple[str, str]]]


def write_clear(
    folder: Path, blocks: dict[str, Block] | None = None, factor: int = FACTOR, first_commits: bool = False
) -> Path:
    """Write a sound CLEAR to ``folder``; return it.

    Args:
        folder: made anew.
        blocks: makes a person's TOFU rows, for those whose rows shall differ from ``tofu_block``.
        factor: how many times smaller than the published one, at least 10.
        first_commits: with the columns of the first commits.
    """
    published = CLEAR_FIRST_COMMITS if first_commits else CLEAR
    contents: dict[str, Rows] = _contents(factor, blocks or {})
    return write_benchmark(
        folder,
        published,
        {
            name: [{key: row[key] for key in one.columns.names} for row in contents[name]]
            for name, one in published.items()
        },
    )


def _contents(factor: int, blocks: dict[str, Block]) -> dict[str, Rows]:
    """Return the rows of each configuration; those of people have the pictures and rows of whole people."""
    people = (*FORGET, *RETAIN)[: scaled(PEOPLE, factor)]
    each, more = divmod(scaled(CLEAR["default"].rows, factor), len(people))
    pictures = {who: [picture_row(who, n) for n in range(each + (place < more))] for place, who in enumerate(people)}

    def of(some: Iterable[str]) -> list[dict[str, Any]]:
        return [row for person in some for row in pictures[person]]

    def with_tofu(some: Iterable[str]) -> list[dict[str, Any]]:
        pairs = [pair for person in some for pair in blocks.get(person, tofu_block)(person)]
        return [*of(some), *({"image": None, "caption": None, "question": q, "answer": a} for q, a in pairs)]

    contents: dict[str, Rows] = {"default": of(people), "full": of(people), "full+tofu": with_tofu(people)}
    for percent in (1, 5, 10):
        forget = people[: scaled(PEOPLE * percent // 100, factor)]
        name, retain = f"forget{percent:02d}", people[len(forget) :]
        fewer = CLEAR[name].rows - CLEAR[f"{name}_perturbed"].rows
        contents |= {name: of(forget), f"{name}+tofu": with_tofu(forget)}
        contents |= {f"{name}_perturbed": [perturbed_row(row) for row in of(forget)[: len(of(forget)) - fewer]]}
        contents |= {f"retain{100 - percent}": of(retain), f"retain{100 - percent}+tofu": with_tofu(retain)}
    kept, count = of(retain), scaled(CLEAR["retain_perturbed"].rows, factor)
    contents["retain_perturbed"] = [perturbed_row(kept[place * len(kept) // count]) for place in range(count)]
    for name in ("real_faces", "real_world"):
        numbers = range(scaled(CLEAR[name].rows, factor))
        contents[name] = [real_row(number, name == "real_faces") for number in numbers]
    return contents


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
    row = {"image": image(f"{person}/{number}"), "caption": caption, "name": person}
    return row | {"question": None, "answer": None}


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
        "image": image(f"world {number}"),
        "question": f"What is thing {number} called?",
        "answer": f"Tower {number}",
        "options": ["a bridge", "a well", "a mill"],
    }


def image(key: str) -> dict[str, Any]:
    noise = Image.frombytes("RGB", (12, 12), random.Random(key).randbytes(3 * 12 * 12))
    return {"bytes": png(noise.resize((24, 24))), "path": None}


def sample(label: str, **options: Any) -> Sample:
    return Sample(
        label=label,
        write=lambda folder: write_clear(folder, **options),
        forget_share=0.1,
        table="forget10+tofu/train-00000-of-00001.parquet",
        column="question",
        counts={  # 2 people with 38 pictures, 37 of them perturbed; 18 with 339 and 40; 20 rows of TOFU each
            "forget": (2, 38, {"qa": 38 + 40, "generation": 40, "caption": 37, "recognition": 37}),
            "test": (2, 37, {"caption": 37, "recognition": 37}),
            "retain": (18, 339, {"qa": 339 + 360, "generation": 360, "caption": 40, "recognition": 40}),
            "real": (15 + 1, 15 + 37, {"generation": 15 + 37}),
        },
    )


SAMPLES = [sample("clear"), sample("clear, its first commits", first_commits=True)]
