"""A small UMU-Bench in the published form (``published.UMU``): JSON, and Python literals, in text cells."""

import json
from pathlib import Path
from typing import Any

from tests.viker.data.damage import portrait
from tests.viker.data.published import UMU, scaled, write_benchmark
from tests.viker.data.sample import Sample

FACTOR = 25
TOWNS = ("Oslo", "Lima", "Riga", "Cairo")
JOBS = ("baker", "judge", "miner", "pilot")


def write_umu(folder: Path, factor: int = FACTOR) -> Path:
    """Write the benchmark, so many times smaller than published."""
    count, real = (scaled(UMU[name].rows, factor) for name in ("Full_Set", "Real_Person_Set"))
    people = [_row(number) for number in range(count)]
    contents = {"Full_Set": people, "Real_Person_Set": [_row(number) for number in range(count, count + real)]}
    for percent in (5, 10, 15):
        forgotten = scaled(UMU[f"forget_{percent}"].rows, factor)
        contents |= {f"forget_{percent}": people[:forgotten], f"retain_{100 - percent}": people[forgotten:]}
    return write_benchmark(folder, UMU, contents)


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
            "real": (6, 6, {"qa": 24, "generation": 12, "cloze": 12, "classification": 12}),
        },
    )
]
