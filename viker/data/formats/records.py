"""The user's own data: a table with one row per question; pictures inside it or next to it.

Columns: ``person_id``; ``image``, bytes or a path under the folder of the table, empty for a question without picture;
``question``; ``answer``; and, where wanted, ``split`` (forget, retain, test, real, or unseen: whom no model was trained
on), ``options`` (four, the right one among them), ``paraphrases`` of the answer, ``perturbed_answers`` (wrong ones) and
``secrets`` (private values).

A row is a qa and a generation record, with options a classification record as well; cloze questions, and choices for
rows without options, follow from the open ones (``derived.add_derived``). Private values are those of
``secrets`` and the right option, as far as the answer holds them and the question doesn't; where there are none, the
answer itself, if it has at most ``SHORT`` words. Public figures (``real``) may be missing. A person to forget without
rows marked ``test`` is asked the same questions again, each with the person's next picture if there is another.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.settings import shown
from viker.data.canonical import canonical_text
from viker.data.formats.base.cells import picture_of
from viker.data.formats.base.derived import add_derived
from viker.data.formats.base.format import Format
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.formats.base.people import UnknownPerson, check_forget, check_people
from viker.data.formats.base.shards import columns_of
from viker.data.formats.base.tables import LISTS, header_has, is_one_table, read, tables, the_table
from viker.data.formats.base.tasks import check_text, exchanged, has, secrets_in
from viker.data.prompts import LETTERS
from viker.data.records import SPLITS, UNSEEN, Record

SHORT = 5
log = logging.getLogger(__name__)


def recognises(source: Path) -> bool:
    """Return whether ``source`` is a table of questions, or a folder with one at its top."""
    candidates = tables(source)
    if not is_one_table(candidates):
        return False
    if candidates[0].suffix.lower() == ".parquet":
        return all("person_id" in columns for columns in columns_of(candidates))
    return header_has(candidates[0], "person_id")


def load(
    source: Path, forget_share: float, forget_ids: Sequence[str], gone: Collection[str], intake: Intake
) -> Benchmark:
    """Read the table twice: first who is in it and to be forgotten, then the rows.

    ``forget_ids`` override the marks ``forget`` and ``retain``; ``forget_share`` has no effect. Rows marked ``test`` of
    people who stay are not used. For the rest see ``format.Load``.
    """
    shards = the_table(source)
    table = shards[0]
    marks, bad_rows = _marks(shards, intake)
    known = {person for person, splits in marks.items() if splits & {"forget", "retain", ""}}
    marked = [person for person in sorted(known) if "forget" in marks[person]]
    if not forget_ids and not marked and not gone:
        raise UserError(
            f"{table}: nobody is named to be forgotten. Add a request, set prepare.forget_ids, "
            "or mark rows 'forget' in a column 'split'."
        )
    try:
        forgotten = check_forget(forget_ids or marked, known, gone)
    except UnknownPerson as unknown:
        if bad_rows:
            unknown.problem += f" {len(bad_rows)} rows that don't say whose they are were left out: {bad_rows[0]}"
        raise
    splits = [*SPLITS, *([UNSEEN] if any(UNSEEN in splits for splits in marks.values()) else [])]
    loaded = Benchmark({split: [] for split in splits}, forget_ids=sorted(forgotten), may_lack=("real",))
    numbers: Counter[tuple[str, str, str]] = Counter()
    secrets: dict[tuple[str, str], str] = {}
    for where, row in read(shards):
        with intake.row(None if isinstance(row, BadRow) else _text(row.get("person_id"))):
            person, split = _who(where, row)
            if isinstance(row, BadRow) or person in gone or (split == "test" and person not in forgotten):
                continue
            trained = "forget" if person in forgotten else "retain"
            target = split if split in ("test", "real", UNSEEN) else trained
            _note_secrets(row, person, where, secrets)
            for record in _records(where, row, table.parent, intake):
                if target not in ("test", UNSEEN) or record.task != "qa":
                    number = numbers[target, person, record.task]
                    loaded.splits[target].append(replace(record, id=f"{person}/{record.task}/{number}"))
                    numbers[target, person, record.task] += 1
    add_derived(loaded.splits)
    tested = {record.person_id for record in loaded.splits["test"]}
    untested: dict[str, list[Record]] = {person: [] for person in sorted(forgotten - tested)}
    for record in loaded.splits["forget"]:
        untested.get(record.person_id, []).append(record)
    for asked in untested.values():
        loaded.splits["test"] += _asked_again(asked)
    _warn_of_unused({key: where for key, where in secrets.items() if where and key[0] in forgotten})
    if forgotten and not any(record.secrets for record in loaded.splits["forget"]):
        raise UserError(
            f"{table}: no private value is known of anyone to forget, so leakage can't be measured: every answer has "
            f"more than {SHORT} words. Add a column 'secrets' with the private values in each answer."
        )
    return loaded


def _marks(shards: list[Path], intake: Intake) -> tuple[dict[str, set[str]], list[BadRow]]:
    """Return which splits each person's rows are marked with, "" for none, and the rows that don't say whose they are.

    Raises BadRow: there are such rows, and they aren't to be excluded; better than to look for a person in vain.
    """
    marks: dict[str, dict[str, str]] = {}
    bad_rows: list[BadRow] = []
    for where, row in read(shards):
        try:
            person, split = _who(where, row)
            marks.setdefault(person, {}).setdefault(split, where)
        except BadRow as bad:
            bad_rows.append(bad)
    if bad_rows and intake.on_invalid == "fail":
        first, others = bad_rows[0], [f"{bad.where.rpartition(', ')[2]} ({bad.rule})" for bad in bad_rows[1:4]]
        more = f" {len(bad_rows) - 1} more rows don't say whose they are: {', '.join(others)}" if others else ""
        more += ", …" if len(bad_rows) > 4 else "." if others else ""
        raise BadRow(first.where, first.column, first.rule, f"{first.message}{more}")
    check_people((next(iter(places.values())), person) for person, places in marks.items())
    for person, places in marks.items():
        elsewhere = ("forget", "retain", "test", "")
        for one, exclusive in ((UNSEEN, (*elsewhere, "real")), ("real", elsewhere), ("forget", ("retain",))):
            for other in exclusive:
                if one in places and other in places:
                    raise UserError(
                        f"{places[other]}, column split: person '{person}' is marked '{other}' here and '{one}' at "
                        f"{places[one]}; a person is in one split."
                    )
    return {person: set(places) for person, places in marks.items()}, bad_rows


def _who(where: str, row: dict[str, Any] | BadRow) -> tuple[str, str]:
    """Return the person of a row and the split it is marked with, "" for none."""
    if isinstance(row, BadRow):
        raise row
    person = _text(row.get("person_id"))
    if not person:
        message = f"expected the person's ID as a text or a whole number, found {shown(row.get('person_id'))}."
        raise BadRow(where, "person_id", "empty ID", message)
    split = row.get("split") or ""
    known = (*SPLITS, UNSEEN)
    if split not in (*known, ""):
        raise BadRow(where, "split", "unknown split", f"expected {', '.join(known)} or nothing, found {shown(split)}.")
    return person, split


def _records(where: str, row: dict[str, Any], folder: Path, intake: Intake) -> Iterator[Record]:
    question = check_text(where, "question", "question", row.get("question"))
    answer = check_text(where, "answer", "answer", row.get("answer"))
    lists = {name: _texts(where, name, row.get(name)) for name in LISTS}
    options = lists["options"]
    right = _right(where, options, answer) if options else ""
    picture = picture_of(row.get("image"), where, folder, intake.pictures)
    secrets = secrets_in(answer, question, (*lists["secrets"], right))
    if not secrets and len(answer.split()) <= SHORT:
        secrets = secrets_in(answer, question, (answer.strip(" ."),))
    wrong = tuple(exchanged(answer, right, option) for option in options if option != right)
    record = Record(
        id="",
        person_id=row["person_id"],
        task="qa",
        modality="image_text" if picture else "text",
        question=question,
        answer=answer,
        secrets=secrets,
        perturbed_answers=lists["perturbed_answers"] or wrong,
        images=(picture,) if picture else (),
        paraphrases=lists["paraphrases"],
    )
    yield record
    yield replace(record, task="generation")
    if options:
        letter = LETTERS[options.index(right)]
        choice = replace(record, task="classification", answer=right, options=options, correct=letter)
        yield replace(choice, perturbed_answers=(), paraphrases=())


def _note_secrets(row: dict[str, Any], person: str, where: str, secrets: dict[tuple[str, str], str]) -> None:
    """Note where each private value of a person is listed, "" once one of their answers has it."""
    answer, listed = row.get("answer"), row.get("secrets")
    for value in listed if isinstance(listed, list) else ():
        if isinstance(value, str) and isinstance(answer, str):
            key = person, canonical_text(value)
            secrets[key] = "" if has(answer, value) else secrets.get(key, where)


def _warn_of_unused(places: dict[tuple[str, str], str]) -> None:
    if places:
        (person, value), where = next(iter(places.items()))
        log.warning(
            "%s, column secrets: no answer about '%s' has %r, so its leakage isn't measured%s. Correct it, or "
            "remove it.",
            *(where, person, value),
            f"; {len(places) - 1} more values likewise" if len(places) > 1 else "",
        )


def _right(where: str, options: tuple[str, ...], answer: str) -> str:
    same = [option for option in options if canonical_text(option) == canonical_text(answer)]
    right = same or [one for one in options if has(answer, one)]
    different = len({canonical_text(option) for option in options})
    if len(options) != len(LETTERS) or different != len(options) or len(right) != 1:
        message = (
            f"expected {len(LETTERS)} different options, one of them the answer or in it, found {shown(list(options))}."
        )
        raise BadRow(where, "options", "no such option", message)
    return right[0]


def _texts(where: str, column: str, value: Any) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        message = f'found {str(value)[:40]!r}; expected a list, in CSV as JSON: ["Oslo", "Riga"].'
        raise BadRow(where, column, "no list", message)
    return tuple(check_text(where, column, "text in the list", text) for text in value or ())


def _text(value: Any) -> str | None:
    return value or None if isinstance(value, str) else None


def _asked_again(records: Sequence[Record]) -> Iterator[Record]:
    pictures = list(dict.fromkeys(image for record in records for image in record.images))
    for record in records:
        if record.task != "qa":
            following = [pictures[(pictures.index(image) + 1) % len(pictures)] for image in record.images]
            yield replace(record, images=tuple(following))


FORMAT = Format(name="records", heading="your own table of questions", source="", recognises=recognises, load=load)
