"""``viker request``: the forget requests, which are YAML files in the folder ``prepare.requests``."""

from contextlib import suppress
from datetime import date, timedelta
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML

from components.contract.params import load_params
from pipelines.cli.registry import requests_folder
from viker.core.console import JsonOption, ParamsOption, command_group, say, say_json, show
from viker.core.errors import UserError, did_you_mean
from viker.core.files import create_file, locked, replace_file
from viker.core.manifest import MANIFEST, Manifest, read_manifest
from viker.core.pseudonyms import People
from viker.core.settings import validated
from viker.data.requests import REASONS, ForgetRequest, Reason, carried_out, read_requests
from viker.data.settings import PrepareParams
from viker.evidence import audit
from viker.storage import is_remote

MONTH = timedelta(days=30)
"""The time to answer that Art. 12(3) GDPR gives."""

PreparedOption = Annotated[Path, typer.Option(help="The prepared data, if any.")]
app = command_group("Add, list and close forget requests: who is to be forgotten, why and by when.")


@app.command()
def add(
    people: Annotated[list[str], typer.Argument(help="The IDs of the people, as the data has them.")],
    reason: Annotated[Reason, typer.Option(help="; ".join(f"{code}: {text}" for code, text in REASONS.items()))],
    received: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD, when the request was received; default: today.")
    ] = None,
    deadline: Annotated[str | None, typer.Option(help="YYYY-MM-DD; default: 30 days after --date.")] = None,
    name: Annotated[str | None, typer.Option("--id", help="Default: --date and a number.")] = None,
    params: ParamsOption = Path("params.yaml"),
    prepared: PreparedOption = Path("data/prepared"),
    as_json: JsonOption = False,
) -> None:
    """Write a new request.

    The people are checked against the prepared data if it was made from *prepare.source*; otherwise prepare does it.
    """
    settings = load_params(params).prepare
    today = date.today()
    made = _day("--date", received) if received else today
    if made > today:
        raise UserError(f"--date is '{received}', after today ({today}): expected the day on which it was received.")
    due = _day("--deadline", deadline) if deadline else made + MONTH
    values = {"id": name, "date": made, "people": people, "reason": reason, "deadline": due}
    folder = _local(settings.requests)
    checked = _check_people(_request(folder, values, name or f"{made}-1")[1], settings, prepared)
    read_requests(folder)  # before anything is made there
    with locked(folder):
        path = _create(folder, values, name)
    late = f", which has passed: {(today - due).days} days ago" if due < today else ""
    audit.append("request", {"id": path.stem, "received": str(made), "due": str(due), "people": len(people)})
    lines = [f"{path}: people {len(people)}, deadline {due}{late}."]
    if not checked:
        lines.append(f"{prepared} doesn't hold the data of {settings.source} yet: prepare will check the people.")
    about = _row(_request(folder, values, path.stem)[1], today) | {"file": str(path), "people_checked": checked}
    show(about, lines, as_json)


@app.command("list")
def list_(as_json: JsonOption = False, params: ParamsOption = Path("params.yaml")) -> None:
    """List all requests: pending ones first, by deadline, then those that are carried out."""
    folder = requests_folder(load_params(params).prepare.requests)
    requests = sorted(read_requests(folder).values(), key=lambda r: (r.carried_out is not None, r.deadline, r.id))
    if as_json:
        say_json([_row(request, date.today()) for request in requests])
        return
    if not requests:
        say(f"no requests in {folder}: 'viker request add' writes one.")
        return
    table, today = Table("id", "people", "reason", "deadline", "state"), date.today()
    for request in requests:
        state = _state(request, today)
        if request.carried_out:
            state += f" {request.carried_out.date}, version {request.carried_out.version}"
        style = "bold red" if request.is_overdue(today) else ""
        cells = (request.id, ", ".join(request.people), request.reason, str(request.deadline))
        table.add_row(*map(Text, cells), Text(state, style=style))
    Console().print(table)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="Default: all requests.")] = None,
    as_json: JsonOption = False,
    params: ParamsOption = Path("params.yaml"),
    prepared: PreparedOption = Path("data/prepared"),
) -> None:
    """Show a request's state: how many days are left, and whether the prepared data carries it out."""
    folder, today = requests_folder(load_params(params).prepare.requests), date.today()
    carried = _manifest(prepared).get("requests", [])
    rows = [
        _row(request, today) | {"prepared": request.id in carried}
        for request in ([_find(folder, name)[1]] if name else read_requests(folder).values())
    ]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say("\n".join(f"{key.replace('_', ' '):<12} {_words(value)}" for key, value in row.items()) + "\n")


@app.command()
def done(
    name: Annotated[str, typer.Argument(metavar="ID")],
    version: Annotated[int, typer.Option(min=1, help="The version of the registered model that has forgotten them.")],
    params: ParamsOption = Path("params.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Mark a request as carried out, after the promotion of the version that did it.

    The next run of prepare removes its people from all splits.
    """
    folder = _local(load_params(params).prepare.requests)
    _find(folder, name)
    with locked(folder):
        path, request = _find(folder, name)
        if request.carried_out:
            raise UserError(
                f"{path}: carried out on {request.carried_out.date} by version {request.carried_out.version} already. "
                "Edit the file if that is wrong."
            )
        replace_file(path, carried_out(path.read_text(encoding="utf-8"), date.today(), version))
    audit.append("carried out", {"id": name, "version": version})
    said = f"{path}: carried out by version {version}. The next 'dvc repro' removes its people from all splits."
    show(_row(_find(folder, name)[1], date.today()) | {"file": str(path)}, [said], as_json)


def _local(requests: str) -> Path:
    """Return the folder of requests to write to. Raises UserError: it is a remote one."""
    if is_remote(requests):
        raise UserError(
            f"prepare.requests is '{requests}': requests are written to local folders. Upload the file there."
        )
    return Path(requests)


def _create(folder: Path, values: dict[str, Any], name: str | None) -> Path:
    """Write the request under its ID, or the first free one of its day; return its path once it is durable.

    Raises UserError: there is a request of that ID.
    """
    taken = {request.id.casefold() for request in read_requests(folder).values()}
    for number in count(1):
        path, request = _request(folder, values, name or f"{values['date']}-{number}")
        with suppress(FileExistsError):
            if request.id.casefold() not in taken:
                stream, yaml = StringIO(), YAML()
                yaml.width = 4096
                yaml.dump(values | {"id": request.id}, stream)
                create_file(path, stream.getvalue())
                return path
        if name:
            raise UserError(
                f"--id is '{name}': there is a request of that ID in {folder}. Choose another, or omit --id."
            )
    raise AssertionError


def _request(folder: Path, values: dict[str, Any], name: str) -> tuple[Path, ForgetRequest]:
    path = folder / f"{name}.yaml"
    return path, validated(ForgetRequest, values | {"id": name}, path)


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} is '{text}': expected a day such as 2026-12-24.") from None


def _check_people(request: ForgetRequest, settings: PrepareParams, prepared: Path) -> bool:
    """Return whether the people could be looked up.

    Raises UserError: the prepared data, made from this very source, has not all of them.
    """
    manifest = _manifest(prepared)
    if manifest.get("source") != settings.source:
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    known: set[str] = set()
    for split in ("forget", "retain"):
        try:
            known |= set(pq.read_table(prepared / f"{split}.parquet", columns=["person_id"])["person_id"].to_pylist())
        except (pa.ArrowException, OSError, KeyError):
            return False
    gone = People(manifest.get("gone", []))
    for person, identity in zip(request.people, request.identities, strict=True):
        if identity not in known and identity not in gone:
            raise UserError(
                f"'{person}' is an ID that nobody in {prepared} has{did_you_mean(identity, known | gone)} "
                "If the data is newer, run 'viker prepare' first."
            )
    return True


def _manifest(prepared: Path) -> Manifest:
    return read_manifest(prepared) if (prepared / MANIFEST).is_file() else {}


def _find(folder: Path, name: str) -> tuple[Path, ForgetRequest]:
    requests = read_requests(folder)
    for path, request in requests.items():
        if request.id == name:
            return path, request
    raise UserError(f"no request '{name}' in {folder}{did_you_mean(name, (r.id for r in requests.values()))}")


def _row(request: ForgetRequest, today: date) -> dict[str, Any]:
    return request.model_dump(mode="json") | {
        "state": _state(request, today),
        "days_left": None if request.carried_out else (request.deadline - today).days,
    }


def _state(request: ForgetRequest, today: date) -> str:
    return "carried out" if request.carried_out else "overdue" if request.is_overdue(today) else "pending"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return {"None": "–", "True": "yes", "False": "no"}.get(str(value), str(value))
