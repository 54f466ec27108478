"""CLEAR's on-disk format: TOFU's fictitious authors with pictures; one folder of Parquet shards per configuration.

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
from collections.abc import Sequence
from pathlib import Path

from viker.data.formats.base.clear_people import is_text, owners
from viker.data.formats.base.clear_records import PAIR, PICTURE, RecordBuilder
from viker.data.formats.base.format import Format
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import check_forget, check_people
from viker.data.formats.base.shards import need_configuration, rows, shards

REAL = ("real_faces", "real_world")


def recognises(source: Path) -> bool:
    """Return whether ``source`` looks like CLEAR: configurations as ``forget10`` or ``retain90+tofu``."""
    names = {path.name for path in source.iterdir() if path.is_dir()} if source.is_dir() else set()
    return all(any(re.fullmatch(rf"{kind}\d\d(\+tofu)?", name) for name in names) for kind in ("forget", "retain"))


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Sequence[str], intake: Intake
) -> Benchmark:
    """Read forget and retain people with their TOFU rows, the perturbed splits and the real sets.

    ``forget_share`` picks the configurations, 0.05: ``forget05+tofu``, ``forget05_perturbed``, ``retain95+tofu``.
    ``forget_ids`` and ``gone`` are names. For the rest see ``format.Load``.
    """
    percent = round(100 * forget_share)
    folders = [source / f"forget{percent:02d}+tofu", source / f"retain{100 - percent:02d}+tofu"]
    for folder in folders:
        need_configuration(folder, forget_share, "*+tofu")
    first_rows = {folder: _people(folder) for folder in folders}
    known = check_people([(where, name) for people in first_rows.values() for name, where in people.items()])
    forgotten = check_forget(forget_ids or list(first_rows[folders[0]]), known, gone)
    blocks = {}
    for folder in folders:
        text_rows = ((where, row) for where, row in rows(shards(folder), PICTURE | PAIR) if is_text(row))
        blocks[folder] = owners(text_rows, list(first_rows[folder]))

    builder = RecordBuilder({"forget": [], "retain": [], "test": [], "real": []}, intake, forgotten, set(gone))
    perturbed = [source / f"forget{percent:02d}_perturbed", source / "retain_perturbed"]
    tested = builder.perturbed(perturbed, known)
    for folder in folders:
        builder.people(folder, blocks[folder], tested)
    for name in REAL:
        builder.real(source / name)
    return Benchmark(builder.splits, forget_ids=sorted(forgotten))


def _people(folder: Path) -> dict[str, str]:
    """Return where each person of a configuration is first named."""
    first_rows: dict[str, str] = {}
    for where, row in rows(shards(folder), PICTURE | PAIR):
        if is_text(row) and row["question"] is None and row["answer"] is None:
            message = "a row of nothing: a picture has caption and name, a TOFU row question and answer; complete it."
            raise BadRow(where, "caption, name, question, answer", "empty row", message)
        if row["name"] and row["name"].strip():
            first_rows.setdefault(row["name"], where)
    return first_rows


FORMAT = Format(
    name="clear",
    heading="CLEAR",
    source='Dontsov et al., "CLEAR: Character Unlearning in Textual and Visual Modalities", arXiv 2410.18057',
    recognises=recognises,
    load=load,
)
