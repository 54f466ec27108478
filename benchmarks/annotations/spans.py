"""The marked spans, and the part of TOFU that has them."""

import json
from pathlib import Path

from benchmarks.tofu.text import read_rows
from viker.core.errors import UserError
from viker.data.records import Record

SPANS = Path(__file__).parent / "tofu_spans.jsonl"
Marked = dict[tuple[str, str], list[tuple[int, int]]]
"""By author and answer: where its spans begin and end."""


def read_spans(text: Path) -> Marked:
    """Return the marked spans of TOFU's answers. Raises UserError: the text lacks an answer or a span of it."""
    answers: dict[int, list[str]] = {}
    for row in read_rows(text / "authors.jsonl"):
        answers.setdefault(row["author"], []).append(row["answer"])
    marked: Marked = {}
    for number, line in enumerate(SPANS.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        answer = answers[row["author"]][row["question"]]
        places = [place for span in row["spans"] for place in _places(answer, span)]
        if any(span not in answer for span in row["spans"]):
            raise UserError(f"{SPANS}: line {number}: {row['spans']} are not all in the answer '{answer}'.")
        marked[f"{row['author']:03d}", answer] = places
    return marked


def only_marked(text: Path, out: Path) -> None:
    """Write the text of the authors with marked answers alone, as TOFU has it, to ``out``."""
    authors = {json.loads(line)["author"] for line in SPANS.read_text(encoding="utf-8").splitlines()}
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(text.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line).get("author", min(authors)) in authors]
        (out / path.name).write_text("".join(kept), encoding="utf-8")


def spans_of(record: Record, marked: Marked) -> list[tuple[int, int]] | None:
    """Return the marked spans of a record's answer; None where it was not read."""
    return marked.get((record.person_id, record.answer))


def _places(answer: str, span: str) -> list[tuple[int, int]]:
    starts = [n for n in range(len(answer)) if answer.startswith(span, n)]
    return [(start, start + len(span)) for start in starts]
