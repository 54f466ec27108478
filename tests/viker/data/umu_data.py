"""A small UMU-Bench in the published shape: configurations, columns, JSON (and Python literals) in text cells."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.viker.data.damage import portrait
from tests.viker.data.sample import Sample

TOWNS = ("Oslo", "Lima", "Riga", "Cairo")
JOBS = ("baker", "judge", "miner", "pilot")
COLUMNS = ("MM_QA", "UM_QA", "Classify", "Cloze", "Generation")
SCHEMA = pa.schema(
    [
        ("ID", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("Biography", pa.string()),
        *((name, pa.string()) for name in COLUMNS),
    ]
)


def write_umu(folder: Path) -> Path:
    """20 fictitious people in two shards a configuration where there are several, one of them to forget, 3 real."""
    people = [_row(number) for number in range(20)]
    _write(folder / "Full_Set", people, 2)
    _write(folder / "forget_5", people[:1], 1)
    _write(folder / "retain_95", people[1:], 2)
    _write(folder / "Real_Person_Set", [_row(number) for number in range(20, 23)], 1)
    return folder


def _row(number: int) -> dict[str, Any]:
    town, job, name = TOWNS[number % 4], JOBS[number // 4 % 4], f"Ada Number{number}"
    by_picture = {"1": "Where was this person born?", "2": "What is this person's job?"}
    by_name = {"1": f"Where was {name} born?", "2": f"What is the job of {name}?"}
    answers = {"1": f"In {town}.", "2": f"A {job}."}
    forms = {"muitimodal": "this person", "unimodal": name}
    cells: dict[str, Any] = {
        "MM_QA": {"question": by_picture, "answer": answers},
        "UM_QA": {"question": by_name, "answer": answers},
        "Classify": {
            form: {
                "1": {
                    "question": f"Which town is {who} from?",
                    "options": dict(zip("ABCD", TOWNS, strict=True)),
                    "answer": f"{'ABCD'[TOWNS.index(town)]}. {town}",
                }
            }
            for form, who in forms.items()
        },
        "Cloze": {
            form: {"1": {"question": f"The job of {who} is [Blank].", "answer": f"{job}."}}
            for form, who in forms.items()
        },
        "Generation": {
            form: {"1": {"question": f"Say where {who} comes from.", "answer": f"The home town is {town}."}}
            for form, who in forms.items()
        },
    }
    write = repr if number % 2 else json.dumps
    path = f"{number}.png" if number % 3 else None
    row = {"ID": f"{number:03d}", "image": {"bytes": portrait(number), "path": path}, "Biography": f"{name}, {job}."}
    return row | {column: write(cell) for column, cell in cells.items()}


def _write(folder: Path, rows: list[dict[str, Any]], shards: int) -> None:
    folder.mkdir(parents=True)
    size = -(-len(rows) // shards)
    for number in range(shards):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size], schema=SCHEMA)
        pq.write_table(table, folder / f"train-{number:05d}-of-{shards:05d}.parquet")


SAMPLES = [
    Sample(
        label="umu",
        write=write_umu,
        forget_share=0.05,
        table="forget_5/train-00000-of-00001.parquet",
        column="MM_QA",
        counts={
            "forget": (1, 1, {"qa": 4, "generation": 2, "cloze": 2, "classification": 2}),
            "test": (1, 1, {"generation": 4}),
            "retain": (19, 19, {"qa": 76, "generation": 38, "cloze": 38, "classification": 38}),
            "real": (3, 3, {"qa": 12, "generation": 6, "cloze": 6, "classification": 6}),
        },
    )
]
