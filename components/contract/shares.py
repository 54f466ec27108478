"""Work that several tasks share: a stage's program ``part`` does one share, and the stage takes over what they wrote.

Beside its results, the folder of a part says what decided them, and which fast ways were refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.kfp_task import REFUSED
from viker.core.errors import UserError
from viker.core.files import read_json, write_json
from viker.core.run_store import differences

PART = "part.json"
Prepared = Annotated[Path, typer.Option(help="The prepared data.")]
Vanilla = Annotated[Path, typer.Option(help="The model that knows the people.")]
Irrelevant = Annotated[Path, typer.Option(help="The irrelevant images.")]
Work = Annotated[Path, typer.Option(help="Keeps what was asked until the task is over.")]
Share = Annotated[str, typer.Option(help="I/N: of what is asked every N-th part, from the I-th on.", metavar="I/N")]


def parse_share(share: str) -> tuple[int, int]:
    """Return ``I/N`` as (I − 1, N). Raises UserError: it isn't such a share."""
    found = re.fullmatch(r"(\d+)/(\d+)", share)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--share is '{share}': expected I/N with I from 1 to N, such as 1/4.")
    return int(found[1]) - 1, int(found[2])


def describe_part(folder: Path, deciding: Mapping[str, Any]) -> None:
    """Write into a part's folder what decides its results (JSON values), and the fallbacks of this process."""
    from viker.models import fast_path

    write_json(folder / PART, {"deciding": dict(deciding), "fallbacks": fast_path.fallbacks()})


def decided_by(folder: Path, stage: str) -> dict[str, Any]:
    """Return what decided a part's results. Raises UserError: the task was given something that it couldn't use."""
    if (folder / REFUSED).is_file():
        raise UserError(str(read_json(folder / REFUSED, stage)["error"]))
    return dict(read_json(folder / PART, stage)["deciding"])


def accept_part(option: str, folder: Path, stage: str, deciding: Mapping[str, Any]) -> None:
    """Check that a part belongs to a run, and record its fallbacks as this run's.

    Raises UserError: other values than ``deciding`` decided its results; ``option`` is where the user named it.
    """
    if differing := differences(decided_by(folder, stage), deciding):
        raise UserError(f"{option}: {folder} was made for something else than this run: {'; '.join(differing)}.")
    record_fallbacks(folder, stage)


def record_fallbacks(folder: Path, stage: str) -> None:
    """Record a part's fallbacks as this run's."""
    from viker.models import fast_path

    fast_path.record_again(read_json(folder / PART, stage)["fallbacks"])
