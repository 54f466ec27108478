"""A user's own data in its three shapes: Parquet, JSONL with pictures beside it, pictures plus a CSV."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.viker.data.damage import portrait
from tests.viker.data.sample import Counts, Sample

TOWNS = ("Oslo", "Lima", "Riga", "Cairo")
LISTS = ("options", "paraphrases", "perturbed_answers")
COLUMNS = ("person_id", "image", "question", "answer", "split", *LISTS)
PEOPLE = 10


def content() -> list[dict[str, Any]]:
    """10 people with 3 questions each: two with pictures (one of them with options), one without; p0 is to forget."""
    rows: list[dict[str, Any]] = []
    for number in range(PEOPLE):
        person, town = f"p{number}", TOWNS[number % 4]
        split = "forget" if number == 0 else None
        base = {"person_id": person, "split": split, **dict.fromkeys(LISTS)}
        rows += [
            base
            | {"image": f"pictures/{person}-a.png", "question": "Where was this person born?"}
            | {"answer": f"This person was born in {town}.", "options": list(TOWNS), "paraphrases": [f"In {town}."]},
            base | {"image": f"pictures/{person}-b.png", "question": "Shoe size?", "answer": f"Size {30 + number}."},
            base | {"image": None, "question": f"Who is {person}?", "answer": f"The baker Ada N{number}."}
            | {"perturbed_answers": ["The judge Bo."]},
        ]  # fmt: skip
    return rows


def write_own(folder: Path) -> Path:
    """Write a folder with pictures plus questions.csv."""
    write_pictures(folder)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in content():
            table.writerow(row | {name: json.dumps(row[name]) if row[name] else "" for name in LISTS})
    return folder


def write_jsonl(folder: Path) -> Path:
    """Write questions.jsonl with pictures beside it; keys without a value are left out."""
    write_pictures(folder)
    lines = [json.dumps({key: value for key, value in row.items() if value is not None}) for row in content()]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "questions.jsonl"


def write_parquet(folder: Path) -> Path:
    """Write questions.parquet with the pictures in it."""
    folder.mkdir(parents=True)
    rows = [row | {"image": portrait_of(row["image"]) if row["image"] else None} for row in content()]
    kinds = {"image": pa.binary(), **dict.fromkeys(LISTS, pa.list_(pa.string()))}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "questions.parquet")
    return folder / "questions.parquet"


def write_pictures(folder: Path) -> None:
    (folder / "pictures").mkdir(parents=True)
    for row in content():
        if row["image"]:
            (folder / row["image"]).write_bytes(portrait_of(row["image"]))


def portrait_of(path: str) -> bytes:
    person, view = Path(path).stem[1:].split("-")
    return portrait(10 * int(person) + "ab".index(view))


def csv_text_for_a_list(table: Path) -> str:
    table.write_text(table.read_text().replace('"[""In Oslo.""]"', "In Oslo."))
    return "column paraphrases: found 'In Oslo.'; expected a list"


def jsonl_number_for_a_text(table: Path) -> str:
    table.write_text(table.read_text().replace('"answer": "Size 30."', '"answer": 30'))
    return "row 1, column answer"


COUNTS: Counts = {
    "forget": (1, 2, {"qa": 3, "generation": 3, "classification": 2, "cloze": 3}),
    "test": (1, 2, {"generation": 3, "classification": 2, "cloze": 3}),
    "retain": (9, 18, {"qa": 27, "generation": 27, "classification": 18, "cloze": 27}),
    "real": (0, 0, {}),
}
SAMPLES = [
    Sample("own csv", write_own, 0.1, "questions.csv", "answer", COUNTS, csv_text_for_a_list),
    Sample("own jsonl", write_jsonl, 0.1, "", "answer", COUNTS, jsonl_number_for_a_text),
    Sample("own parquet", write_parquet, 0.1, "", "answer", COUNTS),
]
