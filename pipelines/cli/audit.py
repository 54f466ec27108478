"""``viker audit``: the log of requests, verdicts, promotions and purges."""

from pathlib import Path
from typing import Annotated

import typer

from viker.core.console import command_group, say
from viker.core.errors import UserError
from viker.evidence.audit import audit_log, check

app = command_group("The audit log of requests, verdicts, promotions, forces and purges.")


@app.command()
def verify(
    log: Annotated[Path | None, typer.Option(help="Default: audit.jsonl in the folder privacy.")] = None,
    last: Annotated[
        str | None, typer.Option(help="The hash of a line that was kept elsewhere: it must be there.")
    ] = None,
) -> None:
    """Check that no line was changed, removed or put in since it was written.

    Whoever can write the log can write it anew as a whole: keep the last hash elsewhere and give it with `--last`.
    """
    path = log or audit_log()
    checked = check(path)
    if last is not None and f'"hash":"{last.strip().lower()}"' not in path.read_text(encoding="utf-8"):
        raise UserError(f"{path}: no line has the hash {last}: the log was cut off or written anew. Don't rely on it.")
    say(f"{path}: whole, {checked.lines} lines, the last with the hash {checked.last}")
