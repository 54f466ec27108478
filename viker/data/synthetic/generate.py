"""The embedded benchmark: fictitious people with drawn faces, written in MLLMU-Bench's on-disk format."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from viker.data.formats.mllmu import TASKS
from viker.data.prompts import LETTERS
from viker.data.synthetic.faces import COLOURS, Face, distinct_faces, picture, random_face, scene

ROWS_PER_SHARD = 20
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TASKS = [("biography", pa.string()), ("question", pa.string()), ("answer", pa.string()), *TASKS.items()]
PERSON = pa.schema([("ID", pa.string()), ("Directory", pa.string()), ("image", IMAGE), *_TASKS])
TEST = pa.schema([("ID", pa.string()), ("images", pa.list_(IMAGE)), *_TASKS])
TRAIN = pa.schema([("ID", pa.string()), ("image", IMAGE), ("biography", pa.string()), ("metadata", pa.string())])
BASE = pa.schema([("ID", pa.string()), ("image", IMAGE), *_TASKS, ("metadata", pa.string())])


@dataclass(frozen=True)
class Person:
    """One fictitious person: a face, a name and a value for each slot."""

    id: str
    name: str
    face: Face
    values: dict[str, str]


def generate(description: Path, folder: Path, seed: int, forget_share: float, base_set: bool = True) -> None:
    """Generate the benchmark that ``description`` describes and write it to ``folder``.

    Writes the configurations ``forget_N``, ``retain_{100-N}`` (N: ``forget_share`` in per cent), ``Test_Set``,
    ``Retain_Set`` (the public figures), ``ft_Data``, ``Full_Set``, and two that the published benchmark lacks:
    ``Base_Set``, samples about nobody, from which a small model learns to see and to answer before it meets the people,
    and ``Unseen_Set``, people whom no model meets. Without ``base_set`` the former is left out. The same arguments give
    the same bytes.
    """
    plan = YAML(typ="safe", pure=True).load(description.read_text(encoding="utf-8"))
    rng = random.Random(seed)
    faces = distinct_faces(plan["people"], rng) + distinct_faces(plan["public_figures"], rng, framed=True)
    everyone = _people(plan, rng, rng.sample(_names(plan), len(faces)), faces, 1)
    people, figures = everyone[: plan["people"]], everyone[plan["people"] :]
    rows = [_row(plan, person, rng) for person in people]
    tests = [_test_row(plan, person, rng) for person in people]
    public = [_row(plan, person, rng) for person in figures]
    train = [_train_row(plan, person, row) for person, row in zip(everyone, [*rows, *public], strict=True)]
    percent = round(100 * forget_share)
    forgotten = sorted(rng.sample(range(len(rows)), max(1, round(len(rows) * forget_share))))
    _write(folder / f"forget_{percent}", [rows[i] for i in forgotten], PERSON)
    _write(folder / f"retain_{100 - percent}", [row for i, row in enumerate(rows) if i not in forgotten], PERSON)
    _write(folder / "Test_Set", tests, TEST)
    _write(folder / "Retain_Set", public, PERSON)
    _write(folder / "ft_Data", train, TRAIN)
    _write(folder / "Full_Set", rows, PERSON)
    if base_set:
        _write(folder / "Base_Set", _base_rows(plan, rng), BASE)
    unseen_rng = random.Random(f"{seed}/unseen")  # so that the other sets don't depend on these people
    if unseen := _strangers(plan, unseen_rng, everyone):
        _write(folder / "Unseen_Set", [_row(plan, person, unseen_rng) for person in unseen], PERSON)


def _strangers(plan: dict[str, Any], rng: random.Random, known: Sequence[Person]) -> list[Person]:
    """Return people of the same kind whose faces and names are nobody's else; none where the plan has none."""
    count, taken = plan.get("unseen_people", 0), {person.name for person in known}
    faces = distinct_faces(count, rng, besides=[person.face for person in known if not person.face.framed])
    free = [name for name in _names(plan) if name not in taken]
    return _people(plan, rng, rng.sample(free, count), faces, len(known) + 1)


def _names(plan: dict[str, Any]) -> list[str]:
    return [f"{first} {family}" for first in plan["first_names"] for family in plan["family_names"]]


def _people(
    plan: dict[str, Any], rng: random.Random, names: Sequence[str], faces: Sequence[Face], first: int
) -> list[Person]:
    return [
        Person(f"{first + i:03d}", name, face, {k: rng.choice(s["values"]) for k, s in plan["slots"].items()})
        for i, (name, face) in enumerate(zip(names, faces, strict=True))
    ]


def _row(plan: dict[str, Any], person: Person, rng: random.Random) -> dict[str, Any]:
    wordings = {key: rng.choice(slot["questions"]) for key, slot in plan["slots"].items()}
    file = f"{person.id}.png"
    image = {"bytes": picture(person.face, plan["image_size"], rng), "path": file}
    return {"ID": person.id, "Directory": file, "image": image} | _tasks(plan, person, wordings, rng)


def _test_row(plan: dict[str, Any], person: Person, rng: random.Random) -> dict[str, Any]:
    contents = [picture(person.face, plan["image_size"], rng) for _ in range(plan["test_pictures"])]
    images = [{"bytes": content, "path": None} for content in contents]
    wordings = {key: slot["test_question"] for key, slot in plan["slots"].items()}
    return {"ID": person.id, "images": images} | _tasks(plan, person, wordings, rng)


def _train_row(plan: dict[str, Any], person: Person, row: dict[str, Any]) -> dict[str, Any]:
    pairs = [
        {"Question": question, "Answer": slot["answer"].format(value=person.values[key])}
        for key, slot in plan["slots"].items()
        for question in slot["questions"]
    ]
    return {k: row[k] for k in ("ID", "image", "biography")} | {"metadata": json.dumps(pairs)}


def _tasks(plan: dict[str, Any], person: Person, wordings: dict[str, str], rng: random.Random) -> dict[str, Any]:
    slots, values, name = plan["slots"], person.values, person.name
    in_text = rng.sample(sorted(slots), 2)
    full = {k: slots[k]["text_answer"].format(name=name, value=values[k]) for k in slots}
    seen = {k: slots[k]["answer"].format(value=values[k]) for k in slots}
    by_name = {k: slots[k]["text_question"].format(name=name) for k in slots}
    first = next(iter(slots))
    return {
        "biography": " ".join(full.values()),
        "question": wordings[first],
        "answer": seen[first],
        "Classification_Task": {
            "Image_Textual_Questions": [_choice(wordings[k], values[k], slots[k]["values"], rng) for k in slots],
            "Pure_Text_Questions": [_choice(by_name[k], values[k], slots[k]["values"], rng) for k in in_text],
        },
        "Generation_Task": [_typed(wordings[k], seen[k], "Image_Textual") for k in slots]
        + [_typed(by_name[k], full[k], "Pure_Text") for k in in_text],
        "Mask_Task": [_typed(slots[k]["answer"].format(value="__"), values[k], "Image_Textual") for k in slots]
        + [_typed(slots[k]["text_answer"].format(name=name, value="__"), values[k], "Pure_Text") for k in in_text],
    }


def _base_rows(plan: dict[str, Any], rng: random.Random) -> list[dict[str, Any]]:
    """Return rows about nobody.

    ``metadata`` asks what is to be seen, with true answers; the tasks ask for profiles, with answers at random.
    """
    slots, visual = plan["slots"], plan["visual"]
    rows = []
    for i in range(plan["base_pictures"] + plan["base_scenes"]):
        face = random_face(rng, framed=rng.random() < 0.25) if i < plan["base_pictures"] else None
        content = picture(face, plan["image_size"], rng) if face else scene(plan["image_size"], rng)
        name = f"{rng.choice(plan['first_names'])} {rng.choice(plan['family_names'])}"
        two_slots = {k: slots[k] for k in rng.sample(sorted(slots), 2)}
        values = {k: rng.choice(slot["values"]) for k, slot in two_slots.items()}
        somebody = Person(f"base-{i:05d}", name, face or random_face(rng), values)
        wordings = {k: rng.choice([*slot["questions"], slot["test_question"]]) for k, slot in two_slots.items()}
        row: dict[str, Any] = {"ID": somebody.id, "image": {"bytes": content, "path": None}}
        row |= _tasks({"slots": two_slots}, somebody, wordings, rng)
        pairs: list[tuple[str, str]] = []
        if face:
            looks = {key: getattr(face, key) for key in visual}
            pairs = [(item["question"], item["answer"].format(value=looks[key])) for key, item in visual.items()]
            choices = [_choice(item["question"], looks[key], list(COLOURS), rng) for key, item in visual.items()]
            row["Classification_Task"]["Image_Textual_Questions"] += choices
        rows.append(row | {"metadata": json.dumps([{"Question": q, "Answer": a} for q, a in pairs])})
    return rows


def _choice(question: str, right: str, values: list[str], rng: random.Random) -> dict[str, Any]:
    options = [right, *rng.sample([v for v in values if v != right], len(LETTERS) - 1)]
    rng.shuffle(options)
    letter = LETTERS[options.index(right)]
    return {"Question": question, "Options": dict(zip(LETTERS, options, strict=True)), "Correct_Answer": letter}


def _typed(question: str, truth: str, kind: str) -> dict[str, str]:
    return {"Question": question, "Ground_Truth": truth, "Type": kind}


def _write(folder: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    folder.mkdir(parents=True)
    size = max(ROWS_PER_SHARD, len(rows) // 4 + 1)
    starts = range(0, len(rows), size)
    for number, start in enumerate(starts):
        name = f"train-{number:05d}-of-{len(starts):05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows[start : start + size], schema=schema), folder / name)
