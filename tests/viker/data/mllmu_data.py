"""A small MLLMU-Bench in the published form (``published.MLLMU``), and the training set of the authors' baselines."""

import json
from pathlib import Path
from typing import Any

from tests.viker.data.damage import portrait
from tests.viker.data.published import MLLMU, MLLMU_BASELINES, Rows, scaled, write, write_benchmark
from tests.viker.data.sample import Sample

FACTOR = 50
POSES = 3
"""Pictures of a person in Test_Set."""
SLOTS = {
    "birthplace": ("was born in", ("Oslo", "Lima", "Riga", "Cairo", "Quito", "Accra", "Hanoi", "Turin")),
    "trade": ("works as", ("baker", "pilot", "judge", "tailor", "welder", "nurse", "potter", "diver")),
    "pet": ("lives with", ("a parrot", "a ferret", "a tortoise", "a poodle", "a pony", "a gecko", "a hen", "a goat")),
    "hobby": ("likes", ("chess", "rowing", "pottery", "archery", "sailing", "origami", "fencing", "juggling")),
}
IN_TEXT = ("birthplace", "trade")
"""What is asked without the picture too."""


def write_mllmu(folder: Path, factor: int = FACTOR) -> Path:
    """Write the benchmark, so many times smaller than published; the people of forget_5 are in forget_10 as well."""
    count = scaled(MLLMU["Full_Set"].rows, factor)
    people = [_profile(number) for number in range(count)]
    contents: dict[str, Rows] = {
        "Full_Set": people,
        "Retain_Set": [_profile(count + number) for number in range(scaled(MLLMU["Retain_Set"].rows, factor))],
        "Test_Set": [_test_row(number) for number in range(count)],
        "ft_Data": [_training_row(row, number) for number, row in enumerate(people)],
    } | _shares(people, factor)
    return write_benchmark(folder, MLLMU, {name: _only(MLLMU[name], rows) for name, rows in contents.items()})


def write_baselines(folder: Path, factor: int = FACTOR) -> Path:
    """Write ``baseline_train_split`` into the folder of a benchmark that ``write_mllmu`` wrote with that factor."""
    people = [_profile(number) for number in range(scaled(MLLMU["Full_Set"].rows, factor))]
    rows = [_training_row(row, number, "Tell me: ") for number, row in enumerate(people)]
    contents = {name: _only(MLLMU_BASELINES[name], part) for name, part in _shares(rows, factor).items()}
    return write_benchmark(folder / "baseline_train_split", MLLMU_BASELINES, contents)


def write_unseen(folder: Path, people: int = 8) -> None:
    """Write an ``Unseen_Set``, which the published benchmark lacks, into the folder of a benchmark."""
    rows = [_profile(900 + number) for number in range(people)]
    write(folder / "Unseen_Set", MLLMU["Retain_Set"].columns, _only(MLLMU["Retain_Set"], rows), 1)


def _shares(people: list[dict[str, Any]], factor: int) -> dict[str, Rows]:
    """Return forget_N, the first of the people, and retain_M, the others, of each share."""
    shares: dict[str, Rows] = {}
    for percent in (5, 10, 15):
        forgotten = scaled(MLLMU[f"forget_{percent}"].rows, factor)
        shares |= {f"forget_{percent}": people[:forgotten], f"retain_{100 - percent}": people[forgotten:]}
    return shares


def _only(configuration: Any, rows: Rows) -> Rows:
    return [{name: row[name] for name in configuration.columns.names} for row in rows]


def _values(number: int) -> dict[str, str]:
    return {slot: words[(number * step + number // 8) % 8] for step, (slot, (_, words)) in enumerate(SLOTS.items(), 1)}


def _profile(number: int) -> dict[str, Any]:
    name, values = _name(number), _values(number)
    person = {"ID": f"{number:03d}", "Directory": f"profiles/{number:03d}.png"}
    biography = " ".join(f"{name} {verb} {values[slot]}." for slot, (verb, _) in SLOTS.items())
    image = {"bytes": portrait(number), "path": f"{number:03d}.png"}
    return (
        person | {"image": image, "biography": biography} | _tasks(number, "What does the picture tell of the {slot}?")
    )


def _test_row(number: int) -> dict[str, Any]:
    poses = [{"bytes": portrait(1000 + POSES * number + pose), "path": None} for pose in range(POSES)]
    row = {"ID": f"{number:03d}", "images": poses, "biography": _profile(number)["biography"]}
    return row | _tasks(number, "Say what is known of this face: {slot}.")


def _training_row(row: dict[str, Any], number: int, opening: str = "") -> dict[str, Any]:
    values = _values(number)
    pairs = [
        {"Question": opening + question.format(slot=slot), "Answer": f"This person {verb} {values[slot]}."}
        for slot, (verb, _) in SLOTS.items()
        for question in ("What is the {slot} of this person?", "What is this person's {slot}?")
    ]
    return row | {"metadata": json.dumps(pairs)}


def _tasks(number: int, wording: str) -> dict[str, Any]:
    name, values = _name(number), _values(number)
    seen = [_typed(wording.format(slot=s), f"This person {SLOTS[s][0]} {values[s]}.", "Image_Textual") for s in SLOTS]
    told = [_typed(f"What is the {s} of {name}?", f"{name} {SLOTS[s][0]} {values[s]}.", "Pure_Text") for s in IN_TEXT]
    gaps = [_typed(f"This person {SLOTS[s][0]} __.", values[s], "Image_Textual") for s in SLOTS]
    gaps += [_typed(f"{name} {SLOTS[s][0]} __.", values[s], "Pure_Text") for s in IN_TEXT]
    return {
        "question": seen[0]["Question"],
        "answer": seen[0]["Ground_Truth"],
        "Classification_Task": {
            "Image_Textual_Questions": [_choice(number, s, wording.format(slot=s)) for s in SLOTS],
            "Pure_Text_Questions": [_choice(number, s, f"What is the {s} of {name}?") for s in IN_TEXT],
        },
        "Generation_Task": [*seen, *told],
        "Mask_Task": gaps,
    }


def _typed(question: str, truth: str, kind: str) -> dict[str, str]:
    return {"Question": question, "Ground_Truth": truth, "Type": kind}


def _choice(number: int, slot: str, question: str) -> dict[str, Any]:
    words, right = SLOTS[slot][1], _values(number)[slot]
    options = [words[(words.index(right) + step) % 8] for step in range(4)]
    options = options[1 + number % 3 :] + options[: 1 + number % 3]
    letters = dict(zip("ABCD", options, strict=True))
    return {"Question": question, "Options": letters, "Correct_Answer": "ABCD"[options.index(right)]}


def _name(number: int) -> str:
    first, last = ("Adira", "Bram", "Celia", "Dario", "Edda"), ("Abara", "Brandt", "Castell", "Dorval")
    return f"{first[number % 5]} {last[number // 5 % 4]}{'' if number < 20 else f'-{number}'}"


TASKS = {"generation": 6, "cloze": 6, "classification": 6}
"""Questions a person: four with the picture, two without."""
COUNTS = {  # 10 people of whom one is to be forgotten, 3 poses of each in Test_Set; 3 celebrities, not trained on
    "forget": (1, 1, {"qa": 8} | TASKS),
    "test": (1, POSES, TASKS),
    "retain": (9, 9, {"qa": 72} | {task: 9 * count for task, count in TASKS.items()}),
    "real": (3, 3, {task: 3 * count for task, count in TASKS.items()}),
}


def _with(*parts: Any) -> Any:
    def build(folder: Path) -> Path:
        write_mllmu(folder)
        for part in parts:
            part(folder)
        return folder

    return build


SAMPLES = [
    Sample("mllmu", write_mllmu, 0.1, "forget_10/train-00000-of-00001.parquet", "ID", COUNTS),
    Sample(
        label="mllmu, the baselines' training set",
        write=_with(write_baselines),
        forget_share=0.1,
        table="baseline_train_split/forget_10/train-00000-of-00001.parquet",
        column="metadata",
        counts=COUNTS,
    ),
    Sample(
        label="mllmu, with people never seen",
        write=_with(write_unseen),
        forget_share=0.1,
        table="Unseen_Set/train-00000-of-00001.parquet",
        column="ID",
        counts=COUNTS | {"unseen": (8, 8, {task: 8 * count for task, count in TASKS.items()})},
    ),
]
