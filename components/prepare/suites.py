"""The expectations on prepared data, as code: one suite a split, one on the people across splits.

A row that breaks a rule is found by Great Expectations from these columns, which ``frame`` adds to a record's own:
``answer_length``, ``question_length`` in characters; ``repeated``: an earlier record says the same;
``person_elsewhere``, ``picture_elsewhere``, ``near_elsewhere``: a retain record's person or picture, or one that looks
the same, is among those to forget; ``picture_known``; ``to_forget``; ``correct_in_options``.
"""

from typing import Any

import numpy as np
import pandas as pd

from components.common.pictures import NEAR_BITS
from components.common.prompts import LETTERS
from components.common.records import RECORD_SCHEMA, TASKS, Record
from components.prepare.intake import Benchmark
from components.prepare.pictures import PictureStore

VERSION = 3
"""Goes up when a rule changes; it is part of the manifest."""
MOST_CHARACTERS = 4000
FLAGS = {
    "repeated": False,
    "person_elsewhere": False,
    "picture_elsewhere": False,
    "near_elsewhere": False,
    "picture_known": True,
    "correct_in_options": True,
}
REMEDIES = {
    "repeated": "an earlier row says the same; remove one",
    "person_elsewhere": "its person is to be forgotten; a person is in one split",
    "picture_elsewhere": "it shows a picture of a person to forget; give each person pictures of their own",
    "near_elsewhere": "its picture looks the same as one of a person to forget; give each person pictures of their own",
    "picture_known": "it shows a picture that is not there; add it",
    "correct_in_options": "the options lack the right answer; correct them",
    "to_forget": "its person is not in the split that it should be in",
    "answer_length": f"the answer has more than {MOST_CHARACTERS} characters, or none; shorten it",
    "question_length": f"the question has more than {MOST_CHARACTERS} characters, or none; shorten it",
}


def frame(loaded: Benchmark, split: str, pictures: PictureStore) -> pd.DataFrame:
    """Return a split's records with the columns that the rules look at, a row a record."""
    forget = [r for name in ("forget", "test") for r in loaded.splits[name]] if split == "retain" else []
    people, shown = {r.person_id for r in forget}, {key for r in forget for key in r.images}
    near = _near(shown, {key for r in loaded.splits[split] for key in r.images} if forget else set(), pictures)
    seen: set[tuple[Any, ...]] = set()
    rows = []
    for number, record in enumerate(loaded.splits[split]):
        same = (record.person_id, record.task, record.modality, record.question, record.answer, record.images)
        row: dict[str, Any] = {name: getattr(record, name) for name in RECORD_SCHEMA.names}
        row |= {
            "row": number,
            "answer_length": len(record.answer),
            "question_length": len(record.question),
            "repeated": same in seen,
            "person_elsewhere": record.person_id in people,
            "picture_elsewhere": any(key in shown for key in record.images),
            "near_elsewhere": any(key in near for key in record.images),
            "picture_known": all(key in pictures for key in record.images),
            "correct_in_options": _correct(record),
            "to_forget": record.person_id in loaded.forget_ids,
        }
        seen.add(same)
        rows.append(row)
    return pd.DataFrame(
        rows, columns=[*RECORD_SCHEMA.names, "row", "answer_length", "question_length", *FLAGS, "to_forget"]
    )


def people_frame(loaded: Benchmark) -> pd.DataFrame:
    """Return one row: how many people are to be forgotten and to be kept, the share, the fewest questions of one."""
    people = {split: {r.person_id for r in loaded.splits[split]} for split in ("forget", "retain", "test")}
    counts: dict[tuple[str, str], int] = {}
    for split in people:
        for record in loaded.splits[split]:
            counts[split, record.person_id] = counts.get((split, record.person_id), 0) + 1
    known = len(people["forget"]) + len(people["retain"])
    row = {
        "forget_people": len(people["forget"]),
        "retain_people": len(people["retain"]),
        "forget_share": len(people["forget"]) / max(known, 1),
        "fewest_questions": min(counts.values(), default=0),
        "untested_people": len(people["forget"] - people["test"]),
        "people_in_both": len(people["forget"] & people["retain"]),
        "tested_but_kept": len(people["test"] - people["forget"]),
    }
    return pd.DataFrame([row])


def split_suite(gx: Any, split: str) -> Any:
    """Return the expectations on one split."""
    e = gx.expectations
    checks = [e.ExpectTableRowCountToBeBetween(min_value=1), e.ExpectColumnValuesToBeUnique(column="id")]
    checks += [e.ExpectColumnToExist(column=name) for name in RECORD_SCHEMA.names]
    checks += [e.ExpectColumnValuesToNotBeNull(column=c) for c in ("id", "person_id", "question", "answer")]
    checks.append(e.ExpectColumnValuesToBeInSet(column="task", value_set=list(TASKS)))
    checks.append(e.ExpectColumnValuesToBeInSet(column="modality", value_set=["image_text", "text"]))
    lengths = ("answer_length", "question_length")
    checks += [e.ExpectColumnValuesToBeBetween(column=c, min_value=1, max_value=MOST_CHARACTERS) for c in lengths]
    flags = FLAGS | {"to_forget": split in ("forget", "test")}
    checks += [e.ExpectColumnValuesToBeInSet(column=c, value_set=[v]) for c, v in flags.items()]
    return gx.ExpectationSuite(name=split, expectations=checks, meta={"version": VERSION})


def people_suite(gx: Any) -> Any:
    """Return the expectations across splits."""
    e = gx.expectations
    limits = {
        "forget_people": (1, None),
        "retain_people": (1, None),
        "forget_share": (0, 0.5),
        "fewest_questions": (1, None),
        "untested_people": (0, 0),
        "people_in_both": (0, 0),
        "tested_but_kept": (0, 0),
    }
    checks = [e.ExpectColumnValuesToBeBetween(column=c, min_value=a, max_value=b) for c, (a, b) in limits.items()]
    return gx.ExpectationSuite(name="people", expectations=checks, meta={"version": VERSION})


def _near(forget: set[str], others: set[str], pictures: PictureStore) -> set[str]:
    """Return which of the other pictures look like one of those to forget."""
    keys = sorted(key for key in others - forget if key in pictures)
    bits = np.array([pictures.fingerprints[key].bits for key in keys], dtype=np.uint64)
    near: set[str] = set()
    for one in (pictures.fingerprints[key] for key in forget if key in pictures):
        alike = np.flatnonzero(np.bitwise_count(bits ^ np.uint64(one.bits)) <= NEAR_BITS)
        near |= {keys[i] for i in alike if one.is_near(pictures.fingerprints[keys[i]])}
    return near


def _correct(record: Record) -> bool:
    if record.task != "classification":
        return True
    return record.correct in LETTERS and record.options[LETTERS.index(record.correct)] == record.answer
