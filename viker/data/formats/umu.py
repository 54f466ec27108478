"""UMU-Bench's on-disk format: one folder of Parquet shards per configuration, the questions as JSON in text cells.

``MM_QA`` and ``UM_QA`` hold {question: {KEY: text}, answer: {KEY: text}}, with and without the picture; ``Classify``,
``Cloze`` and ``Generation`` hold {muitimodal, unimodal: {KEY: {question, answer, options}}}, the first spelt so, with
``options`` {A, B, C, D} and an ``answer`` such as ``B`` or ``B. Oslo`` in Classify alone.

The two forms of a fact have one key: their records' IDs end with ``KEY/image_text`` and ``KEY/text``, so that they can
be compared. A classification question is answered by choosing from a list of texts, without letters.

The reference code reads the cells as Python literals, so these are read too. It has no test set: here the people to
forget are asked the questions that they were trained with.
"""

import ast
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.data.formats.base.format import Format
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import read_people
from viker.data.formats.base.shards import ahead, columns_of, need_configuration, rows, shards, take_picture
from viker.data.formats.base.tasks import Row, check_text, records_of
from viker.data.prompts import LETTERS

TEXT = pa.string()
PERSON = {
    **{"ID": TEXT, "image": pa.struct([("bytes", pa.binary())])},
    **dict.fromkeys(("MM_QA", "UM_QA", "Classify", "Cloze", "Generation"), TEXT),
}
REAL = ("Real_Person_Set", "real_person")
"""The real people: the configuration's name in the data's description, and in the reference code."""
MODALITIES = {"Image_Textual": ("muitimodal", "multimodal"), "Pure_Text": ("unimodal",)}
"""The two forms of a question, by their names in tasks.py and in UMU-Bench."""


def recognises(source: Path) -> bool:
    """Return whether ``source`` looks like UMU-Bench."""
    return any("MM_QA" in columns for columns in columns_of(source.glob("*_*/*.parquet")))


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Collection[str], intake: Intake
) -> Benchmark:
    """Read forget and retain people and the real ones.

    ``forget_share`` picks the configurations, 0.05: ``forget_5`` and ``retain_95``. For the rest see ``format.Load``.
    """
    percent = round(100 * forget_share)
    folders = [source / f"forget_{percent}", source / f"retain_{100 - percent}"]
    real = next((source / name for name in REAL if (source / name).is_dir()), source / REAL[0])
    for folder in (*folders, real):
        need_configuration(folder, forget_share, "*")
    _, forgotten = read_people(folders, forget_ids, gone)
    loaded = Benchmark({"forget": [], "retain": [], "test": [], "real": []}, forget_ids=sorted(forgotten))
    for folder in (*folders, real):
        selected = ((where, row) for where, row in rows(shards(folder), PERSON) if row["ID"] not in gone)
        for where, row in ahead(selected, intake.pictures):
            person = row["ID"]
            with intake.row(person):
                records = records_of(_row(where, row, (take_picture(row["image"], where, "image", intake.pictures),)))
                target = "real" if folder == real else "forget" if person in forgotten else "retain"
                loaded.splits[target] += records
                if target == "forget":
                    trained = [record for record in records if record.task == "qa"]
                    ids = [record.id.replace("/qa/", "/generation/") for record in trained]
                    again = zip(trained, ids, strict=True)
                    loaded.splits["test"] += [replace(record, task="generation", id=new) for record, new in again]
    return loaded


def _row(where: str, row: dict[str, Any], images: tuple[str, ...]) -> Row:
    choices: dict[str, list[dict[str, Any]]] = {}
    for kind, key, item in _items(where, row, "Classify"):
        choices.setdefault(kind, []).append(_choice(where, item) | {"Key": key, "from_list": True})
    cloze, generation = (
        [
            {"Question": item["question"], "Ground_Truth": item["answer"], "Type": kind, "Key": key}
            for kind, key, item in _items(where, row, column)
        ]
        for column in ("Cloze", "Generation")
    )
    for item in cloze:  # the blank is filled with words, the full stop is the sentence's
        item["Ground_Truth"] = item["Ground_Truth"].strip().rstrip(".") or item["Ground_Truth"]
    pairs = [*_pairs(where, row, "MM_QA", "Image_Textual"), *_pairs(where, row, "UM_QA", "Pure_Text")]
    return Row(where, row["ID"], images, pairs, choices, generation, cloze)


def _pairs(where: str, row: dict[str, Any], column: str, kind: str) -> Iterator[dict[str, str]]:
    cell = _cell(where, row, column)
    questions, answers = (_mapping(where, column, cell.get(name), name) for name in ("question", "answer"))
    if set(questions) != set(answers):
        odd = sorted(set(questions) ^ set(answers), key=str)[0]
        raise BadRow(where, column, "unpaired", f"the key {odd!r} has a question or an answer, not both; complete it.")
    for key, question in questions.items():
        yield {
            "Question": check_text(where, column, "question", question),
            "Answer": check_text(where, column, "answer", answers[key]),
            "Type": kind,
        }


def _items(where: str, row: dict[str, Any], column: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    cell = _cell(where, row, column)
    for kind, names in MODALITIES.items():
        name = next((name for name in names if name in cell), names[0])
        for key, item in _mapping(where, column, cell.get(name), name).items():
            item = _mapping(where, column, item, f"{name}.{key}")
            for field in ("question", "answer"):
                check_text(where, column, field, item.get(field))
            yield kind, str(key), item


def _choice(where: str, item: Mapping[str, Any]) -> dict[str, Any]:
    options = _mapping(where, "Classify", item.get("options"), "options")
    letter = item["answer"].split(".")[0].strip()
    if letter not in tuple(LETTERS) or letter not in options:
        message = f"the answer is {item['answer']!r}, which options lacks; expected one of {', '.join(LETTERS)}."
        raise BadRow(where, "Classify", "no such option", message)
    texts = {one: check_text(where, "Classify", f"option {one}", options.get(one)) for one in LETTERS}
    return {"Question": item["question"], "Options": texts, "Correct_Answer": letter}


def _cell(where: str, row: dict[str, Any], column: str) -> Mapping[str, Any]:
    for read in (json.loads, ast.literal_eval):
        try:
            return _mapping(where, column, read(row[column]))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            problem = error
    raise BadRow(where, column, "invalid JSON", f"not JSON ({str(problem)[:80]}); correct it or fetch it again.")


def _mapping(where: str, column: str, value: Any, name: str = "the cell") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRow(where, column, "another shape", f"{name} is {str(value)[:40]!r}; expected a JSON object.")
    return value


FORMAT = Format(
    name="umu",
    heading="UMU-Bench",
    source="the reference code of UMU-Bench, github.com/QDRhhhh/UMU-bench",
    hub=("linbojunzi/UMU-bench", "chengyewang/UMU-bench"),
    recognises=recognises,
    load=load,
)
