"""What a model was trained on: a file beside its weights with a hash of each person's records."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from viker.core.errors import UserError
from viker.core.files import read_json, sha256_json, write_json
from viker.core.manifest import read_manifest
from viker.data.records import Record, read_records

TRAINED_ON = "trained_on.json"
"""In a model's folder; a model without it was trained elsewhere, on what nobody here knows."""
SPLITS = ("forget", "retain", "real")
"""The splits of the prepared data whose people the vanilla model knows."""
TAUGHT = ("task", "modality", "question", "answer", "options", "correct", "images")
"""The fields of a record that training sees; ``images`` are hashes of the pictures."""
NAMED = 5
"""How many people an error names."""


class TrainedOn(TypedDict, total=False):
    """What ``TRAINED_ON`` says; ``people``: the hashes of ``people_hashes``. Source and seed may be anything."""

    people: dict[str, str]


def people_hashes(records: Iterable[Record]) -> dict[str, str]:
    """Return the SHA-256 of each person's records by ID, whatever split they are in and in whatever order."""
    taught = defaultdict(list)
    for record in records:
        taught[record.person_id].append([getattr(record, name) for name in TAUGHT])
    return {person: sha256_json(sorted(taught[person], key=repr)) for person in sorted(taught)}


def write_trained_on(folder: Path, prepared: Path, people: Iterable[Record], recipe: Mapping[str, Any]) -> None:
    """Write ``TRAINED_ON`` to a model's folder.

    Args:
        folder: the model's.
        prepared: the prepared data, whose manifest says where they come from.
        people: the records that the model memorised.
        recipe: the parameters of the training.
    """
    write_json(folder / TRAINED_ON, {**_origin(prepared), "recipe": recipe, "people": people_hashes(people)})


def check_trained_on(model: Path, prepared: Path, where: str) -> None:
    """Check that a model which says what it was trained on knows the people in ``prepared``, as they are there.

    Which of them are to be forgotten makes no difference, nor do people whom the data has no more.

    Raises UserError: someone's records are others, or the model never met them; the message names the setting
    ``where``, the people, and what the two were made from.
    """
    if not (model / TRAINED_ON).is_file():
        return
    seal = read_json(model / TRAINED_ON, "finetune", TrainedOn)
    known = seal.get("people", {})
    hashes = people_hashes(record for split in SPLITS for record in read_records(prepared, split))
    strangers = [person for person in hashes if person not in known]
    changed = [person for person in hashes if person in known and hashes[person] != known[person]]
    if not strangers and not changed:
        return
    origin = _origin(prepared)
    differences = [
        f"{key} is {_shown(origin[key])}, was {_shown(seal.get(key))}" for key in origin if origin[key] != seal.get(key)
    ]
    facts = [
        *([f"it never met {_list(strangers)}"] if strangers else []),
        *([f"it learnt other answers or pictures of {_list(changed)}"] if changed else []),
    ]
    raise UserError(
        f"{where} is '{model}': that model was trained on other people than those in {prepared}: {', and '.join(facts)}"
        f", of {len(hashes)} people ({'; '.join(differences) or 'of the same source and seed, which has changed since'}"
        "). A model can only forget what it knows. Name your own model there, or train a small one on these data: "
        "'viker profile scratch', or make demo PROFILE=scratch."
    )


def _origin(prepared: Path) -> dict[str, Any]:
    manifest = read_manifest(prepared)
    return {key: manifest.get(key) for key in ("source", "revision", "seed")}


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else "null" if value is None else str(value)


def _list(people: list[str]) -> str:
    more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
    return ", ".join(people[:NAMED]) + more
