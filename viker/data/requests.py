"""Forget requests: one YAML file each, saying who is to be forgotten, why and by when.

A request is pending until the key ``carried_out`` is written into it. Several pending requests may name the same
person, each with its own reason and deadline; the person is forgotten once.
"""

import codecs
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from ruamel.yaml import YAML

from viker.core.errors import UserError
from viker.core.files import is_hidden, read_json
from viker.core.pseudonyms import pseudonym
from viker.core.settings import Section, read_yaml, shown, validated
from viker.data.canonical import canonical_text, with_code_points

Reason = Literal["erasure", "consent_withdrawn", "objection", "unlawful", "legal_order", "minor", "other"]
REASONS: dict[Reason, str] = {
    "erasure": "the person asks for erasure, Art. 17 GDPR",
    "consent_withdrawn": "the consent that the use rested on is withdrawn, Art. 17(1)(b)",
    "objection": "the person objects to the use, Art. 17(1)(c) and 21",
    "unlawful": "the data was used unlawfully, Art. 17(1)(d)",
    "legal_order": "a court, an authority or the law demands it, Art. 17(1)(e)",
    "minor": "the data was collected from a child, Art. 17(1)(f)",
    "other": "any other reason",
}
SUFFIXES = (".yaml", ".yml")
"""What the file of a request ends in."""
ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
"""A request's ID: it is also the name of the file that 'viker request add' writes."""


def _day(value: object) -> object:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("expected a day such as 2026-11-24, without quotes")
    return value


Day = Annotated[date, BeforeValidator(_day)]


class CarriedOut(Section):
    """When the people were forgotten, and by which version of the registered model."""

    date: Day
    version: Annotated[int, Field(ge=1)]


class ForgetRequest(Section):
    """One forget request."""

    id: Annotated[str, Field(pattern=ID)]
    date: Day
    """The day on which the request was made."""
    people: Annotated[list[str], Field(min_length=1)]
    """Their IDs in the data, as they were written."""
    reason: Reason
    deadline: Day
    carried_out: CarriedOut | None = None
    purged: Day | None = None
    """When the people's data was removed: ``people`` are pseudonyms since."""

    @field_validator("people", mode="before")
    @classmethod
    def _are_ids(cls, people: object) -> object:
        for person in people if isinstance(people, list) else []:
            if not isinstance(person, str) or not canonical_text(person):
                raise ValueError(f"{shown(person)} is not a person's ID: expected text, such as '001' in quotes")
        return people

    @model_validator(mode="after")
    def _is_in_order(self) -> "ForgetRequest":
        spelt: dict[str, str] = {}
        for person in self.people:
            first = spelt.setdefault(canonical_text(person), person)
            if first is not person:
                both = f", as {with_code_points(first)} and {with_code_points(person)}" if first != person else ""
                raise ValueError(f"'people' names {shown(person)} twice{both}; once is enough")
        if self.deadline < self.date:
            raise ValueError(f"'deadline' {self.deadline} is before 'date' {self.date}; correct one of them")
        if self.purged and self.carried_out is None:
            raise ValueError("'purged' is there, but 'carried_out' isn't; put it back")
        if self.carried_out and self.carried_out.date < self.date:
            raise ValueError(f"'carried_out.date' {self.carried_out.date} is before 'date' {self.date}; correct it")
        return self

    @cached_property
    def identities(self) -> list[str]:
        """The people in the canonical form, in which records have them."""
        return [canonical_text(person) for person in self.people]

    def is_overdue(self, today: Day) -> bool:
        """Return whether the deadline has passed and the request isn't carried out."""
        return self.carried_out is None and today > self.deadline


def read_requests(folder: Path) -> dict[Path, ForgetRequest]:
    """Return the requests in a folder by file, sorted by file name.

    A folder that doesn't exist holds none. Hidden files are ignored, and others that don't look like a request.

    Raises UserError: it is no folder, a file isn't a request or looks like one that isn't read, or two have the same
        ID.
    """
    requests: dict[Path, ForgetRequest] = {}
    by_id: dict[str, Path] = {}
    for path in _request_files(folder):
        values = read_yaml(path, "It was removed meanwhile; try again.")
        request = validated(ForgetRequest, values, path)
        if request.id.casefold() in by_id:
            raise UserError(
                f"{path}: 'id' is '{request.id}', which is also that of {by_id[request.id.casefold()]}. "
                "Give one of them another ID, or remove it."
            )
        by_id[request.id.casefold()] = path
        requests[path] = request
    return requests


def _request_files(folder: Path) -> list[Path]:
    """Return the files ``*.yaml`` and ``*.yml``.

    Raises UserError: it is no folder, or another file or folder there looks like a request.
    """
    if not folder.exists() and not folder.is_symlink():
        return []
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of forget requests, found no folder. Correct prepare.requests.")
    paths = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    files = [path for path in paths if path.suffix in SUFFIXES]
    names = {path.name for path in files}
    for path in paths:
        if path.name.removesuffix("~") in names:  # a request, or an editor's backup of one
            continue
        inner = path.rglob("*") if path.is_dir() else [path]
        if unread := next((p for p in sorted(inner) if not is_hidden(p.name) and _looks_like_a_request(p)), None):
            raise UserError(
                f"{unread}: looks like a forget request, but isn't read: only files named *.yaml or *.yml directly in "
                f"{folder} are. If it is a request, move or rename it to {folder}/ID.yaml; if not, move it elsewhere."
            )
    return files


def _looks_like_a_request(path: Path) -> bool:
    """Return whether a file has YAML's ending somewhere in its name, or the key ``people``; not if it is Markdown."""
    if path.is_dir() or path.suffix.lower() == ".md":
        return False
    if re.search(r"\.ya?ml(?![a-z])", path.name, re.IGNORECASE):
        return True
    with path.open("rb") as stream:
        start = stream.read(2**16)
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    text = start.decode(encoding, "replace")
    return re.search(r"""^\s*["']?people["']?\s*:|[{,]\s*"people"\s*:""", text, re.MULTILINE) is not None


@contextmanager
def as_folder(file: Path) -> Iterator[Path]:
    """Yield a temporary folder with the request files that ``file`` holds, JSON of their texts by name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in read_json(file, "collect").items():
            (Path(folder) / Path(name).name).write_text(text, encoding="utf-8")
        yield Path(folder)


def carried_out(text: str, day: Day, version: int) -> str:
    """Return a request file's ``text`` with the key ``carried_out`` added; comments and order stay."""
    return _with(text, carried_out={"date": day, "version": version})


def purged(text: str, day: Day) -> str:
    """Return the ``text`` of a request that is carried out with pseudonyms for its people and the key ``purged``."""
    people = YAML(typ="safe", pure=True).load(text)["people"]
    return _with(text, people=[pseudonym(canonical_text(person)) for person in people], purged=day)


def _with(text: str, **changes: Any) -> str:
    """Return a request file's ``text`` with some keys set; comments and order stay."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    values = yaml.load(text)
    values |= changes
    plain = YAML(typ="safe", pure=True).load(text) | changes
    validated(ForgetRequest, plain, Path(str(values.get("id"))))
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def people_of(requests: Iterable[ForgetRequest]) -> list[str]:
    """Return the people that the requests name, in the canonical form, each once, sorted."""
    return sorted({person for request in requests for person in request.identities})
