"""``viker recheck``: does the champion know again what it had forgotten?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.contract.params import load_params
from pipelines.cli.ask import load_answerer
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError
from viker.core.files import write_json
from viker.core.pseudonyms import privacy_folder
from viker.data.guard import HOW, VARIABLE, guard_files, guard_key, read_guard
from viker.data.records import Record
from viker.evidence import audit
from viker.evidence.seal import seal

RELAPSED = 3
"""Exit code if a version knows again what was forgotten; the same as that of a failed gate."""


def recheck(
    model: Annotated[
        str, typer.Option(help="champion, candidate, a version, or the folder of an adapter.")
    ] = "champion",
    most: Annotated[
        float, typer.Option(min=0, max=1, help="The largest leakage of a request that is no relapse.")
    ] = 0.1,
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, for the folder of an adapter.")] = Path(
        "models/vanilla"
    ),
    out: Annotated[Path, typer.Option(help="What was measured, JSON.")] = Path("metrics/recheck.json"),
) -> None:
    """Ask the champion again about everybody who was purged and whose guard set is kept.

    The guard sets are decrypted in memory, with the key in VIKER_GUARD_KEY. Run it on a schedule and after each
    promotion. Exit codes: 0 nobody is known again; 3 somebody is; 1 it could not be checked.
    """
    cipher = guard_key()
    if cipher is None:
        raise UserError(f"{VARIABLE} is not set: the guard sets are encrypted under it; {HOW}, before the first purge.")
    files = guard_files()
    if not files:
        raise UserError(f"{privacy_folder() / 'guard'}: no guard set. 'viker purge' keeps one while {VARIABLE} is set.")
    settings = load_params(params)
    answerer, name = load_answerer(settings, model, vanilla)
    measured = {file.stem: measure(answerer.answer, *read_guard(file, cipher)) for file in files}
    relapsed = sorted(request for request, one in measured.items() if one["leakage_rate"] > most)
    write_json(out, seal({"model": name, "most": most, "requests": measured, "relapsed": relapsed}))
    audit.append("recheck", {"model": name, "requests": len(measured), "relapsed": relapsed})
    table = Table("request", "questions", "leaked", "leakage", title=name, title_justify="left")
    for request, one in measured.items():
        table.add_row(request, str(one["questions"]), str(one["leaked"]), f"{one['leakage_rate']:.2f}")
    Console().print(table)
    if relapsed:
        say(f"relapse: {name} knows again what was forgotten for {', '.join(relapsed)} (more than {most:g} leaked)")
        raise typer.Exit(RELAPSED)


def measure(
    answer: Callable[[str, bytes | None], str], records: Sequence[Record], pictures: Mapping[str, bytes]
) -> dict[str, float | int]:
    """Return how many of the open questions were asked, how many replies leak, and their share (0 of no question).

    ``answer`` replies to a question about an encoded picture, or without one.
    """
    from viker.evaluation.earlier import guarded_questions
    from viker.metrics.leakage import leaks

    asked = guarded_questions(records)
    replies = (answer(record.question, _picture(record, pictures)) for record in asked)
    leaked = sum(leaks(reply, record.secrets) is True for record, reply in zip(asked, replies, strict=True))
    return {"questions": len(asked), "leaked": leaked, "leakage_rate": leaked / len(asked) if asked else 0.0}


def _picture(record: Record, pictures: Mapping[str, bytes]) -> bytes | None:
    return pictures.get(record.images[0]) if record.images and record.modality == "image_text" else None
