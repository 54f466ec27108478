"""CLEAR's on-disk format: TOFU's fictitious authors with pictures; one folder of Parquet shards per configuration.

A person's ID is the name: the data has no other. What becomes of the rows:

- ``forgetNN+tofu``, ``retainNN+tofu``: a picture becomes a training record (qa) that asks for its caption; a TOFU row
  becomes a training record and a question of text alone (generation). Neither has a column ``name``: ``clear_names``
  finds it.
- the ``_perturbed`` configurations: a picture becomes a question for its caption and one for the name (recognition),
  with their wrong alternatives, in ``forget`` or ``retain``.
- test: the same pictures of the people to forget, asked about in other words; the right caption is the paraphrased
  one. People to forget who have no perturbed row are asked about all their pictures, without alternatives.
- real: ``real_faces`` and ``real_world``, the options as wrong alternatives.

Commits from before the authors added ``name``, ``perturbed_names`` and the ``question`` of ``real_faces`` are read too.

The private value is the name: CLEAR has no list of others. A TOFU answer has it where its question doesn't say it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from viker.data.formats.base.clear_names import IMAGE, TEXT, Tofu, by_caption, key_of, read_tofu
from viker.data.formats.base.clear_people import has, plain
from viker.data.formats.base.format import Format
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import check_forget, check_people
from viker.data.formats.base.shards import has_columns, need_configuration, rows, shards, take_picture
from viker.data.formats.base.tasks import check_text
from viker.data.records import Record
from viker.data.wordings import wording

TEXTS = pa.list_(TEXT)
PAIR = {"question": TEXT, "answer": TEXT}
TOFU = {"image": IMAGE, "caption": TEXT, **PAIR}
PERTURBED = {"image": IMAGE, "caption": TEXT, "paraphrased_caption": None, "perturbed_captions": TEXTS}
NAMES = {"name": TEXT, "perturbed_names": TEXTS}
"""Columns of the perturbed configurations that early commits don't have."""
REAL = ("real_faces", "real_world")


def recognises(source: Path) -> bool:
    """Return whether ``source`` looks like CLEAR: configurations as ``forget10`` or ``retain90+tofu``."""
    names = {path.name for path in source.iterdir() if path.is_dir()} if source.is_dir() else set()
    return all(any(re.fullmatch(rf"{kind}\d\d(\+tofu)?", name) for name in names) for kind in ("forget", "retain"))


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Collection[str], intake: Intake
) -> Benchmark:
    """Read forget and retain people with their TOFU rows, the perturbed splits and the real sets.

    ``forget_share`` picks the configurations, 0.05: ``forget05+tofu``, ``forget05_perturbed``, ``retain95+tofu``.
    ``forget_ids`` and ``gone`` are names. For the rest see ``format.Load``.
    """
    percent = round(100 * forget_share)
    folders = [source / f"forget{percent:02d}+tofu", source / f"retain{100 - percent:02d}+tofu"]
    for folder in folders:
        need_configuration(folder, forget_share, "*+tofu")
    notes: list[str] = []
    tofu = {folder: read_tofu(folder, notes) for folder in folders}
    known = check_people([(where, name) for one in tofu.values() for name, where in one.first_rows.items()])
    forgotten = check_forget(forget_ids or list(tofu[folders[0]].first_rows), known, gone)
    for one in tofu.values():
        one.join_text()

    splits: dict[str, list[Record]] = {"forget": [], "retain": [], "test": [], "real": []}
    builder = RecordBuilder(splits, intake, forgotten, gone, notes)
    names = {key: name for one in tofu.values() for key, name in one.names.items()}
    perturbed = [source / f"forget{percent:02d}_perturbed", source / "retain_perturbed"]
    tested = builder.perturbed(perturbed, known, names)
    for folder in folders:
        builder.people(folder, tofu[folder], tested)
    for name in REAL:
        builder.real(source / name)
    return Benchmark(splits, forget_ids=sorted(forgotten), notes=notes)


@dataclass
class RecordBuilder:
    """Turns rows into records and puts them into their splits."""

    splits: dict[str, list[Record]]
    intake: Intake
    forgotten: set[str]
    gone: Collection[str]
    notes: list[str]
    _counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def people(self, folder: Path, tofu: Tofu, tested: set[str]) -> None:
        """Take in a configuration NAME+tofu; people who aren't ``tested`` yet are asked about all their pictures."""
        for number, (where, row) in enumerate(rows(shards(folder), TOFU)):
            person = tofu.people[number]
            if person in self.gone:
                continue
            with self.intake.row(person if isinstance(person, str) else None):
                caption = "" if number in tofu.texts else _text(where, row, "caption")
                if isinstance(person, BadRow):
                    raise person
                if not caption:
                    question, answer = _text(where, row, "question"), _text(where, row, "answer")
                    for task in ("qa", "generation"):
                        self._add(person, self._split(person), task, question, answer)
                    continue
                image = take_picture(row["image"], where, "image", self.intake.pictures)
                asked = wording("caption", f"{person}/{image}", "train")
                self._add(person, self._split(person), "qa", asked, caption, image)
                if person in self.forgotten and person not in tested:
                    self._questions(person, caption, image)

    def perturbed(self, folders: Iterable[Path], known: set[str], names: dict[tuple[str, str], str]) -> set[str]:
        """Take in the perturbed configurations; return whose pictures are in them.

        A row without a name has that of the picture in ``names``, or else the one of ``known`` in its caption.
        """
        tested: set[str] = set()
        for folder in folders:
            more = {name: kind for name, kind in NAMES.items() if not folder.is_dir() or has_columns(folder, name)}
            if "perturbed_names" not in more:
                self.notes.append(f"{folder.name}: no column 'perturbed_names'; recognition has no wrong names")
            for where, row in rows(shards(folder), PERTURBED | more):
                name = (
                    row.get("name") or names.get(key_of(row)) or by_caption(where, row["caption"] or "", sorted(known))
                )
                if name in self.gone:
                    continue
                with self.intake.row(name if isinstance(name, str) else None):
                    if isinstance(name, BadRow):
                        raise name
                    if name not in known:
                        message = f"'{name}' is in no picture of the forget and retain configurations; correct it."
                        raise BadRow(where, "name", "unknown name", message)
                    columns = ("paraphrased_caption", "perturbed_captions", "perturbed_names")
                    texts = [_texts(where, column, row.get(column)) for column in columns]
                    image = take_picture(row["image"], where, "image", self.intake.pictures)
                    self._questions(name, _text(where, row, "caption"), image, *texts)
                    tested.add(name)
        return tested

    def real(self, folder: Path) -> None:
        """Take in real_faces or real_world; record IDs begin with the configuration's name."""
        columns = {"image": IMAGE, **PAIR, "options": TEXTS}
        unasked = folder.name == "real_faces" and has_columns(folder, "answer") and not has_columns(folder, "question")
        if unasked:
            self.notes.append(f"{folder.name}: no column 'question'; the people are asked for by name")
            del columns["question"]
        for number, (where, row) in enumerate(rows(shards(folder), columns)):
            with self.intake.row():
                answer = _text(where, row, "answer")
                question = wording("recognition", answer, "real") if unasked else _text(where, row, "question")
                wrong = tuple(text for text in _texts(where, "options", row["options"]) if text != answer)
                if not wrong:
                    raise BadRow(where, "options", "no options", "no wrong answer; expected a list of them.")
                images: tuple[str, ...] = ()
                if row["image"] is not None:
                    images = (take_picture(row["image"], where, "image", self.intake.pictures),)
                person = f"{folder.name}/{answer}" if folder.name == "real_faces" else folder.name
                key, modality = f"{person}/generation/{number}", "image_text" if images else "text"
                secrets = () if has(question, answer) else (answer,)
                record = Record(key, person, "generation", modality, question, answer, secrets=secrets, images=images)
                self.splits["real"].append(replace(record, perturbed_answers=wrong))

    def _questions(self, name: str, caption: str, image: str, *alternatives: tuple[str, ...]) -> None:
        """Add the questions about a picture: ``alternatives`` are the reworded captions, wrong captions and names."""
        reworded, captions, names = alternatives or ((), (), ())
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
        more |= {"secrets": _secrets(task, question, answer, person), "images": () if image is None else (image,)}
        modality = "text" if image is None else "image_text"
        records.append(Record(f"{person}/{task}/{number}", person, task, modality, question, answer, **more))

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


FORMAT = Format(
    name="clear",
    heading="CLEAR",
    source='Dontsov et al., "CLEAR: Character Unlearning in Textual and Visual Modalities", arXiv 2410.18057',
    hub=("therem/CLEAR",),
    recognises=recognises,
    load=load,
)
