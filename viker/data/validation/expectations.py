"""The expectations on prepared data, as code: one suite per split, and one on the people across splits.

A row that breaks a rule is found by Great Expectations from these columns, which ``frame`` adds to a record's own:
``answer_length``, ``question_length`` in characters; ``repeated``: an earlier record says the same;
``person_elsewhere``, ``picture_elsewhere``, ``near_elsewhere``: a retain record's person or picture, or one that looks
the same, is among those to forget; ``picture_known``; ``smallest_side``, ``most_pixels`` of its pictures, null where
it has none; ``to_forget``; ``correct_in_options``.
"""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from viker.data.formats.base.intake import Benchmark
from viker.data.pictures.checks import LEAST_SIDE, MOST_PIXELS, NEAR_BITS
from viker.data.pictures.store import PictureStore
from viker.data.prompts import LETTERS
from viker.data.records import RECORD_SCHEMA, TASKS

VERSION = 5
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
SIZES = {
    "answer_length": (1, MOST_CHARACTERS),
    "question_length": (1, MOST_CHARACTERS),
    "smallest_side": (LEAST_SIDE, None),
    "most_pixels": (None, MOST_PIXELS),
}
REMEDIES = {
    "repeated": "an earlier row says the same; remove one",
    "person_elsewhere": "its person is to be forgotten; a person is in one split",
    "picture_elsewhere": "it shows a picture of a person to forget; give each person pictures of their own",
    "near_elsewhere": "its picture looks the same as one of a person to forget; give each person pictures of their own",
    "picture_known": "it shows a picture that is not there; add it",
    "smallest_side": f"a picture has a side of fewer than {LEAST_SIDE} pixels; replace it",
    "most_pixels": f"a picture has more than {MOST_PIXELS} pixels; make it smaller",
    "correct_in_options": "the options lack the right answer; correct them",
    "to_forget": "its person is not in the split that it should be in",
    "answer_length": f"the answer has more than {MOST_CHARACTERS} characters, or none; shorten it",
    "question_length": f"the question has more than {MOST_CHARACTERS} characters, or none; shorten it",
}


def frame(loaded: Benchmark, split: str, pictures: PictureStore) -> pd.DataFrame:
    """Return a split's records with the columns that the rules look at, one row per record."""
    forget = [r for name in ("forget", "test") for r in loaded.splits[name]] if split == "retain" else []
    people, forget_pictures = {r.person_id for r in forget}, {key for r in forget for key in r.images}
    others = {key for r in loaded.splits[split] for key in r.images} if forget else set()
    near = _near(forget_pictures, others, pictures)
    to_forget = set(loaded.forget_ids)
    seen: set[tuple[Any, ...]] = set()
    rows = []
    for number, record in enumerate(loaded.splits[split]):
        same = (record.person_id, record.task, record.modality, record.question, record.answer, record.images)
        pictures_here = [pictures.known[key] for key in record.images if key in pictures]
        # Great Expectations knows no type 'tuple'
        row: dict[str, Any] = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(record).items()}
        texts = {"answer_length": record.answer, "question_length": record.question}
        row |= {name: len(text) if isinstance(text, str) else 0 for name, text in texts.items()}
        row |= {
            "row": number,
            "repeated": same in seen,
            "person_elsewhere": record.person_id in people,
            "picture_elsewhere": any(key in forget_pictures for key in record.images),
            "near_elsewhere": any(key in near for key in record.images),
            "picture_known": all(key in pictures for key in record.images),
            "smallest_side": min((min(p.width, p.height) for p in pictures_here), default=None),
            "most_pixels": max((p.width * p.height for p in pictures_here), default=None),
            "correct_in_options": record.task != "classification"
            or (
                record.answer in record.options and record.correct in ("", LETTERS[record.options.index(record.answer)])
            ),
            "to_forget": record.person_id in to_forget,
        }
        seen.add(same)
        rows.append(row)
    return pd.DataFrame(rows, columns=[*RECORD_SCHEMA.names, "row", *SIZES, *FLAGS, "to_forget"])


def people_frame(loaded: Benchmark) -> pd.DataFrame:
    """Return one row: how many people are to be forgotten and to be kept, the share, the fewest questions of one."""
    people = {split: {r.person_id for r in loaded.splits[split]} for split in ("forget", "retain", "test")}
    counts = Counter({(split, person): 0 for split in ("forget", "test") for person in loaded.forget_ids})
    counts.update((split, record.person_id) for split in people for record in loaded.splits[split])
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


def split_suite(gx: Any, split: str, fewest: int = 1) -> Any:
    """Return the expectations on one split, which has at least ``fewest`` rows."""
    e = gx.expectations
    checks = [e.ExpectTableRowCountToBeBetween(min_value=fewest), e.ExpectColumnValuesToBeUnique(column="id")]
    checks += [e.ExpectColumnToExist(column=name) for name in RECORD_SCHEMA.names]
    checks += [e.ExpectColumnValuesToNotBeNull(column=f.name) for f in RECORD_SCHEMA if not f.nullable]
    types = {f.name: "str" if f.type == pa.string() else "list" for f in RECORD_SCHEMA}
    checks += [e.ExpectColumnValuesToBeOfType(column=name, type_=kind) for name, kind in types.items()]
    checks.append(e.ExpectColumnValuesToBeInSet(column="task", value_set=list(TASKS)))
    checks.append(e.ExpectColumnValuesToBeInSet(column="modality", value_set=["image_text", "text"]))
    checks += [e.ExpectColumnValuesToBeBetween(column=c, min_value=a, max_value=b) for c, (a, b) in SIZES.items()]
    flags = FLAGS | {"to_forget": split in ("forget", "test")}
    checks += [e.ExpectColumnValuesToBeInSet(column=c, value_set=[v]) for c, v in flags.items()]
    return gx.ExpectationSuite(name=split, expectations=checks, meta={"version": VERSION})


def people_suite(gx: Any, forgetting: bool = True) -> Any:
    """Return the expectations across splits; ``forgetting``: whether there is anybody to forget."""
    e = gx.expectations
    limits = {
        "forget_people": (int(forgetting), None if forgetting else 0),
        "retain_people": (1, None),
        "forget_share": (0, 0.5),
        "fewest_questions": (int(forgetting), None),
        "untested_people": (0, 0),
        "people_in_both": (0, 0),
        "tested_but_kept": (0, 0),
    }
    checks = [e.ExpectColumnValuesToBeBetween(column=c, min_value=a, max_value=b) for c, (a, b) in limits.items()]
    return gx.ExpectationSuite(name="people", expectations=checks, meta={"version": VERSION})


def _near(forget: set[str], others: set[str], pictures: PictureStore) -> set[str]:
    keys = sorted(key for key in others - forget if key in pictures)
    bits = np.array([pictures.known[key].fingerprint.bits for key in keys], dtype=np.uint64)
    near: set[str] = set()
    for one in (pictures.known[key].fingerprint for key in forget if key in pictures):
        alike = np.flatnonzero(np.bitwise_count(bits ^ np.uint64(one.bits)) <= NEAR_BITS)
        near |= {keys[i] for i in alike if one.is_near(pictures.known[keys[i]].fingerprint)}
    return near
