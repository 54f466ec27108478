"""CLEAR's rows as records; ``clear`` documents which row becomes what."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.data.formats.base.clear_people import BLOCK, has, is_text, plain
from viker.data.formats.base.intake import BadRow, Intake
from viker.data.formats.base.shards import rows, shards, take_picture
from viker.data.formats.base.tasks import check_text
from viker.data.records import Record
from viker.data.wordings import wording

TEXT = pa.string()
IMAGE = pa.struct([("bytes", pa.binary())])
PICTURE = {"caption": TEXT, "name": TEXT}
PAIR = {"question": TEXT, "answer": TEXT}
PERTURBED = {"perturbed_captions": pa.list_(TEXT), "perturbed_names": pa.list_(TEXT)}


@dataclass
class RecordBuilder:
    """Turns rows into records and puts them into their splits."""

    splits: dict[str, list[Record]]
    intake: Intake
    forgotten: set[str]
    gone: set[str]
    _counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def people(self, folder: Path, blocks: list[str | BadRow], tested: set[str]) -> None:
        """Take in a configuration NAME+tofu; ``blocks`` are the people of its TOFU rows, 20 each."""
        texts = 0
        for where, row in rows(shards(folder), {"image": IMAGE, **PICTURE, **PAIR}):
            person = row["name"]
            if is_text(row):
                owner = blocks[texts // BLOCK]
                person = owner if isinstance(owner, str) else None
                texts += 1
            if person in self.gone:
                continue
            with self.intake.row(person):
                if is_text(row) and isinstance(owner, BadRow):
                    raise owner
                if is_text(row):
                    question, answer = _text(where, row, "question"), _text(where, row, "answer")
                    for task in ("qa", "generation"):
                        self._add(person, self._split(person), task, question, answer)
                else:
                    self._picture(where, row, person in self.forgotten and person not in tested)

    def perturbed(self, folders: Iterable[Path], known: set[str]) -> set[str]:
        """Take in the perturbed configurations; return whose pictures are in them."""
        tested: set[str] = set()
        columns = {"image": IMAGE, **PICTURE, "paraphrased_caption": None, **PERTURBED}
        for folder in folders:
            for where, row in rows(shards(folder), columns):
                if row["name"] in self.gone:
                    continue
                with self.intake.row(row["name"]):
                    name = _text(where, row, "name")
                    if name not in known:
                        message = f"'{name}' is in no picture of the forget and retain configurations; correct it."
                        raise BadRow(where, "name", "unknown name", message)
                    reworded, captions, names = (
                        _texts(where, column, row[column]) for column in ("paraphrased_caption", *PERTURBED)
                    )
                    image = take_picture(row["image"], where, "image", self.intake.pictures)
                    self._questions(name, _text(where, row, "caption"), image, reworded, captions, names)
                    tested.add(name)
        return tested

    def real(self, folder: Path) -> None:
        """Take in real_faces or real_world; record IDs begin with the configuration's name."""
        columns = {"image": IMAGE, **PAIR, "options": pa.list_(TEXT)}
        for number, (where, row) in enumerate(rows(shards(folder), columns)):
            with self.intake.row():
                question, answer = _text(where, row, "question"), _text(where, row, "answer")
                wrong = tuple(text for text in _texts(where, "options", row["options"]) if text != answer)
                if not wrong:
                    raise BadRow(where, "options", "no options", "no wrong answer; expected a list of them.")
                has_picture = row["image"] is not None
                images = (take_picture(row["image"], where, "image", self.intake.pictures),) if has_picture else ()
                person = f"{folder.name}/{answer}" if folder.name == "real_faces" else folder.name
                record = Record(
                    f"{person}/generation/{number}",
                    person,
                    "generation",
                    "image_text" if has_picture else "text",
                    question,
                    answer,
                    secrets=() if has(question, answer) else (answer,),
                    perturbed_answers=wrong,
                    images=images,
                )
                self.splits["real"].append(record)

    def _picture(self, where: str, row: dict[str, Any], ask: bool) -> None:
        name, caption = _text(where, row, "name"), _text(where, row, "caption")
        image = take_picture(row["image"], where, "image", self.intake.pictures)
        self._add(name, self._split(name), "qa", wording("caption", f"{name}/{image}", "train"), caption, image)
        if ask:
            self._questions(name, caption, image, (), (), ())

    def _questions(
        self,
        name: str,
        caption: str,
        image: str,
        reworded: tuple[str, ...],
        captions: tuple[str, ...],
        names: tuple[str, ...],
    ) -> None:
        split = self._split(name)
        for target in ("forget", "test") if split == "forget" else (split,):
            right = reworded[0] if target == "test" and reworded else caption
            others = tuple(text for text in (caption, *reworded) if text != right)
            key = f"{name}/{image}"
            question = wording("caption", key, target)
            more = {"perturbed_answers": captions, "paraphrases": others}
            self._add(name, target, "caption", question, right, image, **more)
            question = wording("recognition", key, target)
            self._add(name, target, "recognition", question, name, image, perturbed_answers=names)

    def _add(
        self, person: str, split: str, task: str, question: str, answer: str, image: str | None = None, **more: Any
    ) -> None:
        records = self.splits[split]
        number = self._counts.get((split, person, task), 0)
        self._counts[split, person, task] = number + 1
        records.append(
            Record(
                f"{person}/{task}/{number}",
                person,
                task,
                "text" if image is None else "image_text",
                question,
                answer,
                secrets=_secrets(task, question, answer, person),
                images=() if image is None else (image,),
                **more,
            )
        )

    def _split(self, person: str) -> str:
        return "forget" if person in self.forgotten else "retain"


def _text(where: str, row: dict[str, Any], column: str) -> str:
    return check_text(where, column, column, row[column])


def _secrets(task: str, question: str, answer: str, person: str) -> tuple[str, ...]:
    """Return the name, with and without accents; in an answer of words, as the answer has it."""
    forms = tuple(dict.fromkeys((person, plain(person))))
    if task in ("caption", "recognition"):
        return forms
    if has(question, person) or not has(answer, person):
        return ()
    return tuple(form for form in forms if form.casefold() in answer.casefold()) or (person,)


def _texts(where: str, column: str, value: Any) -> tuple[str, ...]:
    """Return a text, or a list of texts or null, as a tuple."""
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list):
        raise BadRow(where, column, "no text", f"{value!r}; expected a text or a list of texts.")
    return tuple(check_text(where, column, "text", text) for text in texts)
