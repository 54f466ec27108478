"""CLEAR's on-disk format: TOFU's fictitious authors with pictures; a folder a configuration, Parquet shards in it.

Source: Dontsov et al., "CLEAR: Character Unlearning in Textual and Visual Modalities", arXiv 2410.18057.

A person's ID is the name: the data has no other. What becomes of the rows:

- ``forgetNN+tofu``, ``retainNN+tofu``: a picture becomes a training record (qa) that asks for its caption; a TOFU row
  becomes a training record and a question of text alone (generation).
- the ``_perturbed`` configurations: a picture becomes a question for its caption and one for the name (recognition),
  with their wrong alternatives, in ``forget`` or ``retain``.
- test: the same pictures of the people to forget, asked about in other words; the right caption is the paraphrased
  one. People to forget who have no perturbed row are asked about all their pictures, without alternatives.
- real: ``real_faces`` and ``real_world``, the options as wrong alternatives.

The private value is the name: CLEAR has no list of others. A TOFU answer has it where its question doesn't say it.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.data.formats.base.clear_people import is_text, owners
from viker.data.formats.base.clear_records import PAIR, PICTURE, Making
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import check_forget, check_people
from viker.data.formats.base.shards import rows, shards

REAL = ("real_faces", "real_world")


def recognises(source: Path) -> bool:
    """Return whether ``source`` looks like CLEAR: configurations as ``forget10`` or ``retain90+tofu``."""
    names = {path.name for path in source.iterdir() if path.is_dir()} if source.is_dir() else set()
    return all(any(re.fullmatch(rf"{kind}\d\d(\+tofu)?", name) for name in names) for kind in ("forget", "retain"))


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Sequence[str], intake: Intake
) -> Benchmark:
    """Read forget and retain people with their TOFU rows, the perturbed splits and the real sets.

    Args:
        source: the folder with the configurations.
        forget_share: picks the configurations, 0.05: ``forget05+tofu``, ``forget05_perturbed``, ``retain95+tofu``.
        forget_ids: names of people to forget; none: those of the configuration ``forgetNN``.
        gone: people who were forgotten earlier and belong to no split.
        intake: takes the pictures, and the rows that are wrong.

    Raises:
        UserError: naming file, row and column of what is not as the format says, or the name that nobody has.
    """
    percent = round(100 * forget_share)
    folders = [source / f"forget{percent:02d}+tofu", source / f"retain{100 - percent:02d}+tofu"]
    for folder in folders:
        if not folder.is_dir():
            there = ", ".join(sorted(path.name for path in source.glob("*+tofu"))) or "none"
            raise UserError(
                f"{folder}: no such configuration (prepare.forget_share is {forget_share}); there: {there}."
            )
    found = {folder: _people(folder) for folder in folders}
    known = check_people([(where, name) for people in found.values() for name, where in people.items()])
    forgotten = check_forget(forget_ids or list(found[folders[0]]), known, gone)
    blocks = {folder: owners(_text_rows(folder), list(found[folder])) for folder in folders}

    making = Making({"forget": [], "retain": [], "test": [], "real": []}, intake, forgotten, set(gone))
    perturbed = [source / f"forget{percent:02d}_perturbed", source / "retain_perturbed"]
    tested = making.perturbed(perturbed, known)
    for folder in folders:
        making.people(folder, blocks[folder], tested)
    for name in REAL:
        making.real(source / name)
    return Benchmark(making.splits, forget_ids=sorted(forgotten))


def _people(folder: Path) -> dict[str, str]:
    """Return where each person of a configuration is first named."""
    found: dict[str, str] = {}
    for where, row in rows(shards(folder), PICTURE | PAIR):
        if is_text(row) and row["question"] is None and row["answer"] is None:
            message = "a row of nothing: a picture has caption and name, a TOFU row question and answer; complete it."
            raise BadRow(where, "caption, name, question, answer", "empty row", message)
        if row["name"] and row["name"].strip():
            found.setdefault(row["name"], where)
    return found


def _text_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((where, row) for where, row in rows(shards(folder), PICTURE | PAIR) if is_text(row))
