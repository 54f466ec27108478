"""The loader of MLLMU-Bench's on-disk format: a folder a configuration, Parquet shards in it."""

import difflib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from components.common.errors import UserError
from components.common.files import sha256_bytes
from components.common.prompts import LETTERS
from components.common.records import Record

MODALITIES = {"Image_Textual": "image_text", "Pure_Text": "text"}
MOST_PIXELS = 50_000_000
_SHARD = re.compile(r"train-(\d{5})-of-(\d{5})\.parquet")


@dataclass
class Benchmark:
    """The splits as records, and the pictures they show by hash."""

    splits: dict[str, list[Record]]
    pictures: dict[str, bytes] = field(default_factory=dict)
    base: list[Record] = field(default_factory=list)
    base_pictures: dict[str, bytes] = field(default_factory=dict)
    forget_ids: list[str] = field(default_factory=list)


def load(source: Path, forget_share: float, forget_ids: Sequence[str]) -> Benchmark:
    """Read the benchmark in ``source``: forget and retain people, the test set of the forgotten, the public figures.

    Raises:
        UserError: naming file, row and column of what is not as the format says, or the ID that nobody has.
    """
    percent = round(100 * forget_share)
    name = f"forget_{percent}"
    if not (source / name).is_dir():
        found = ", ".join(sorted(p.name for p in source.glob("forget_*"))) or "none"
        raise UserError(
            f"{source / name}: no such configuration (prepare.forget_share is {forget_share}); there: {found}."
        )
    people = read_rows(source / name, ("image",)) + read_rows(source / f"retain_{100 - percent}", ("image",))
    forgotten = set(forget_ids) or {row["ID"] for row in people[: _count(source / name)]}
    _check_ids(people, forgotten)
    training = {row["ID"]: row for row in read_rows(source / "ft_Data", ("image", "metadata"))}
    tests = [row for row in read_rows(source / "Test_Set", ("images",)) if row["ID"] in forgotten]
    for missing in sorted(forgotten - {row["ID"] for row in tests}):
        raise UserError(f"{source / 'Test_Set'}: no row with ID '{missing}', which is to be forgotten; add its row.")
    figures = read_rows(source / "Retain_Set", ("image",))

    loaded = Benchmark({"forget": [], "retain": [], "test": [], "real": []}, forget_ids=sorted(forgotten))
    for split, rows in (("people", people), ("test", tests), ("real", figures)):
        for row in rows:
            target = split if split != "people" else "forget" if row["ID"] in forgotten else "retain"
            trained = training.get(row["ID"]) if target != "test" else None
            loaded.splits[target] += _records(row, trained, loaded.pictures)
    if (source / "Base_Set").is_dir():
        for row in read_rows(source / "Base_Set", ("image", "metadata")):
            loaded.base += _records(row, row, loaded.base_pictures)
    return loaded


def read_rows(folder: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a configuration, its shards in order, each with ``_where`` for messages."""
    rows = []
    for path in _shards(folder):
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).split("\n")[0]
            raise UserError(
                f"{path}: not a readable Parquet file ({reason}). It is cut off or damaged: fetch it again."
            ) from None
        for column in ("ID", *columns):
            if column not in table.schema.names:
                raise UserError(f"{path}: no column '{column}'; found {', '.join(table.schema.names)}.")
        if not table.num_rows:
            raise UserError(f"{path}: an empty shard; fetch it again or remove the configuration.")
        rows += [row | {"_where": f"{path}, row {number}"} for number, row in enumerate(table.to_pylist())]
    return rows


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("train-*.parquet"))
    if not paths:
        raise UserError(f"{folder}: no train-0000N-of-0000M.parquet here; MLLMU-Bench has this configuration.")
    numbers = [tuple(map(int, m.groups())) for p in paths if (m := _SHARD.fullmatch(p.name))]
    missing = sorted(set(range(numbers[0][1] if numbers else 1)) - {number for number, _ in numbers})
    if missing:
        raise UserError(
            f"{folder}: shard {missing[0]} of {numbers[0][1] if numbers else 1} is missing; fetch it again."
        )
    return paths


def _count(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in _shards(folder))


def _check_ids(people: list[dict[str, Any]], forgotten: set[str]) -> None:
    known: dict[str, str] = {}
    for row in people:
        if row["ID"] in known:
            raise UserError(
                f"{row['_where']}: ID '{row['ID']}' is also at {known[row['ID']]}; a person is in one split."
            )
        known[row["ID"]] = row["_where"]
    for unknown in sorted(forgotten - set(known)):
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise UserError(f"prepare.forget_ids names '{unknown}', an ID that nobody in the benchmark has{hint}")
    if forgotten == set(known):
        raise UserError("prepare.forget_ids names everybody: nobody would be left to retain.")


def _records(row: dict[str, Any], trained: dict[str, Any] | None, pictures: dict[str, bytes]) -> list[Record]:
    images = tuple(_picture(image, row["_where"], pictures) for image in row.get("images") or [row.get("image")])
    where, person = row["_where"], row["ID"]
    choices = [
        (MODALITIES[kind.removesuffix("_Questions")], choice)
        for kind, found in (row.get("Classification_Task") or {}).items()
        for choice in found or []
    ]
    for _, choice in choices:
        if choice["Correct_Answer"] not in LETTERS or not choice["Options"].get(choice["Correct_Answer"]):
            raise UserError(
                f"{where}, column Classification_Task: Correct_Answer is '{choice['Correct_Answer']}', "
                f"which Options lacks; expected one of {', '.join(LETTERS)}."
            )
    right = {choice["Options"][choice["Correct_Answer"]]: choice["Options"] for _, choice in choices}
    private = {*right, *(mask["Ground_Truth"] for mask in row.get("Mask_Task") or [])}
    made: list[Record] = []

    def add(task: str, modality: str, question: str, answer: str, **more: Any) -> None:
        if not (question or "").strip() or not (answer or "").strip():
            raise UserError(f"{where}, task {task}: an empty question or answer; complete or remove it.")
        secrets = tuple(sorted(v for v in private if _has(answer, v) and not _has(question, v)))
        wrong = [
            answer.replace(text, other)
            for text, options in right.items()
            if task in ("qa", "generation") and _has(answer, text)
            for other in options.values()
            if other != text
        ]
        number = sum(record.task == task for record in made)
        made.append(
            Record(
                f"{person}/{task}/{number}",
                person,
                task,
                modality,
                question,
                answer,
                secrets=secrets,
                perturbed_answers=tuple(wrong),
                images=images if modality == "image_text" else (),
                **more,
            )
        )

    for pair in _metadata(trained):
        add("qa", "image_text", pair["Question"], pair["Answer"])
    for task, column in (("generation", "Generation_Task"), ("cloze", "Mask_Task")):
        for item in row.get(column) or []:
            add(task, MODALITIES[item["Type"]], item["Question"], item["Ground_Truth"])
    for modality, choice in choices:
        options = tuple(choice["Options"][letter] for letter in LETTERS)
        answer = choice["Options"][choice["Correct_Answer"]]
        add("classification", modality, choice["Question"], answer, options=options, correct=choice["Correct_Answer"])
    return made


def _metadata(row: dict[str, Any] | None) -> list[dict[str, str]]:
    if row is None:
        return []
    try:
        pairs = json.loads(row["metadata"])
        return [{"Question": pair["Question"], "Answer": pair["Answer"]} for pair in pairs]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{row['_where']}, column metadata: not a JSON list of {{Question, Answer}} ({error!r}); correct it."
        ) from None


def _picture(image: Any, where: str, pictures: dict[str, bytes]) -> str:
    content = (image or {}).get("bytes") or b""
    try:
        opened = Image.open(io.BytesIO(content))
        if opened.width * opened.height > MOST_PIXELS:
            raise UserError(f"{where}, column image: {opened.width} x {opened.height} pixels, more than {MOST_PIXELS}.")
        opened.verify()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{where}, column image: not a picture ({error}); expected PNG or JPEG bytes.") from None
    key = sha256_bytes(content)
    pictures[key] = content
    return key


def _has(text: str, value: str) -> bool:
    return bool(value) and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None
