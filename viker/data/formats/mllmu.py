"""MLLMU-Bench's on-disk format: one folder of Parquet shards per configuration.

The questions that models are trained on are those of ``ft_Data``. If there is a folder ``baseline_train_split``, the
separate set that the authors' baselines are trained on, they are those of its ``forget_N`` and ``retain_M``.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.data.formats.base.format import Format
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import check_people, read_people
from viker.data.formats.base.shards import (
    ahead,
    columns_of,
    has_columns,
    images_of,
    need_configuration,
    rows,
    shards,
    take_picture,
)
from viker.data.formats.base.tasks import Row, records_of
from viker.data.prompts import LETTERS
from viker.data.records import UNSEEN

TEXT = pa.string()
IMAGE = pa.struct([("bytes", pa.binary())])
_TYPED = pa.list_(pa.struct([("Question", TEXT), ("Ground_Truth", TEXT), ("Type", TEXT)]))
_OPTIONS = pa.struct([(letter, TEXT) for letter in LETTERS])
_CHOICES = pa.list_(pa.struct([("Question", TEXT), ("Options", _OPTIONS), ("Correct_Answer", TEXT)]))
_CLASSES = pa.struct([("Image_Textual_Questions", _CHOICES), ("Pure_Text_Questions", _CHOICES)])
TASKS = {"Classification_Task": _CLASSES, "Generation_Task": _TYPED, "Mask_Task": _TYPED}
PERSON = {"ID": TEXT, "image": IMAGE, **TASKS}
TEST = {"ID": TEXT, "images": pa.list_(IMAGE), **TASKS}
BASELINES = "baseline_train_split"


def recognises(source: Path) -> bool:
    """Return whether ``source`` looks like MLLMU-Bench."""
    named = source.is_dir() and any(source.glob("forget_*")) and any(source.glob("retain_*"))
    return named and not any("MM_QA" in columns for columns in columns_of(source.glob("*_*/*.parquet")))


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Collection[str], intake: Intake
) -> Benchmark:
    """Read forget and retain people, the test set of the forgotten, the public figures and, if any, people never seen.

    ``forget_share`` picks the configurations, 0.1: ``forget_10`` and ``retain_90``. For the rest see ``format.Load``.
    """
    percent = round(100 * forget_share)
    folders = [source / f"forget_{percent}", source / f"retain_{100 - percent}"]
    need_configuration(folders[0], forget_share, "forget_*")
    known, forgotten = read_people(folders, forget_ids, gone)
    tested = {row["ID"] for _, row in rows(shards(source / "Test_Set"), {"ID": TEXT})}
    for missing in sorted(forgotten - tested):
        raise UserError(f"{source / 'Test_Set'}: no row with ID '{missing}', which is to be forgotten; add its row.")
    loaded = Benchmark({"forget": [], "retain": [], "test": [], "real": []}, forget_ids=sorted(forgotten))
    training = [source / "ft_Data"]
    if (source / BASELINES).is_dir():
        loaded.notes.append(f"{BASELINES}: its questions are trained on, in place of those of ft_Data")
        training = [source / BASELINES / folder.name for folder in folders]
    trained = _training(training, [*folders, source / "Retain_Set"], intake)
    for missing in sorted(forgotten - set(trained)):
        raise UserError(
            f"{training[0]}: no row of '{missing}', who is to be forgotten: there is nothing to unlearn; add the row."
        )
    unseen = source / "Unseen_Set"  # the published benchmark has none
    if unseen.is_dir():
        loaded.splits[UNSEEN] = []
        strangers = [(where, row["ID"]) for where, row in rows(shards(unseen), {"ID": TEXT})]
        check_people(strangers)
        for where, person in strangers:
            if person in known or person in trained:
                raise UserError(
                    f"{where}: '{person}' is trained on, so can't be among the unseen; remove one of the two."
                )
    configurations: list[tuple[str, Path, dict[str, Any]]] = [
        *(("people", folder, PERSON) for folder in folders),
        ("test", source / "Test_Set", TEST),
        ("real", source / "Retain_Set", PERSON),
        *([(UNSEEN, unseen, PERSON)] if unseen.is_dir() else []),
    ]
    for split, folder, columns in configurations:
        selected = (
            (where, row)
            for where, row in rows(shards(folder), columns)
            if row["ID"] not in gone and (split != "test" or row["ID"] in forgotten)
        )
        for where, row in ahead(selected, intake.pictures):
            person = row["ID"]
            with intake.row(person):
                target = split if split != "people" else "forget" if person in forgotten else "retain"
                questions = trained.get(person, []) if target != "test" else []
                pairs = [pair for place, text in questions for pair in _pairs(place, text)]
                column = "image" if "image" in row else "images"
                images = tuple(take_picture(image, where, column, intake.pictures) for image in images_of(row))
                loaded.splits[target] += records_of(_row(where, row, images, pairs))
    if (source / "Base_Set").is_dir():
        for where, row in ahead(rows(shards(source / "Base_Set"), PERSON | {"metadata": TEXT}), intake.base_pictures):
            with intake.row(row["ID"]):
                images = (take_picture(row["image"], where, "image", intake.base_pictures),)
                loaded.base += records_of(_row(where, row, images, _pairs(where, row["metadata"])))
    return loaded


def _training(folders: Iterable[Path], people: Iterable[Path], intake: Intake) -> dict[str, list[tuple[str, str]]]:
    """Return the training questions of each person: where they are, and their JSON.

    A row without ``ID`` is about the person who has its picture in one of the configurations ``people``.
    """
    trained: dict[str, list[tuple[str, str]]] = {}
    owners: dict[str, str] = {}
    for folder in folders:
        has_id = has_columns(folder, "ID")
        if not has_id and not owners:
            located = (row for one in people for _, row in rows(shards(one), {"ID": TEXT, "image": IMAGE}))
            owners = {_hash(row): row["ID"] for row in located}
        for where, row in rows(shards(folder), ({"ID": TEXT} if has_id else {"image": IMAGE}) | {"metadata": TEXT}):
            person = row["ID"] if has_id else owners.get(_hash(row))
            if person is None:
                with intake.row():
                    message = "no ID, and nobody in the other configurations has this picture; remove or complete it."
                    raise BadRow(where, "ID" if has_id else "image", "training row of nobody", message)
            else:
                trained.setdefault(person, []).append((where, row["metadata"]))
    return trained


def _hash(row: dict[str, Any]) -> str:
    return sha256_bytes((row["image"] or {}).get("bytes") or b"")


def _row(where: str, row: dict[str, Any], images: tuple[str, ...], pairs: list[dict[str, Any]]) -> Row:
    classes, generation, mask = (row[column] or [] for column in TASKS)
    return Row(where, row["ID"], images, pairs, dict(classes), generation, mask)


def _pairs(where: str, text: Any) -> list[dict[str, Any]]:
    try:
        return [{"Question": pair["Question"], "Answer": pair["Answer"]} for pair in json.loads(text)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"not a JSON list of {{Question, Answer}} ({error!r}); correct it."
        raise BadRow(where, "metadata", "invalid JSON", message) from None


FORMAT = Format(
    name="mllmu",
    heading="MLLMU-Bench",
    source='Liu et al., "Protecting Privacy in Multimodal Large Language Models with MLLMU-Bench", NAACL 2025',
    hub=("MLLMMU/MLLMU-Bench",),
    recognises=recognises,
    load=load,
)
