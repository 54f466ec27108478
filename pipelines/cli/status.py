"""``viker status``: champion, candidate, pending requests and the last verdicts, in one screen."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.params import load_params
from pipelines.cli.registry import open_registry
from viker.core.console import ParamsOption
from viker.data.requests import read_requests
from viker.registry.versions import ALIASES, CHAMPION, FORCED, Registry
from viker.storage import fetch, is_remote
from viker.tracking import without_secrets

VERDICTS = 5
"""How many of the newest versions are shown."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show the champion, the candidate, the pending forget requests and the last verdicts."""
    settings = load_params(params)
    where = settings.prepare.requests
    folder = fetch(where, None, Path("data/sources")) if is_remote(where) else Path(where)
    registry = open_registry(settings)
    with registry.explained("the registry can't be read"):
        found = gather(registry, folder, date.today())
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(screen(found))


def gather(registry: Registry, requests: Path, today: date) -> dict[str, Any]:
    """Return what there is to know.

    ``champion``, ``candidate``, ``previous``: a version or None; ``verdicts``: the newest versions. A version has
    ``version``, ``verdict``, ``policy``, ``leakage``, ``retain`` (text, as in the tags), ``requests``, ``aliases``,
    ``forced`` (the reason, or None) and ``since``, when it became champion. ``requests``: the pending ones, the most
    urgent first, each with ``days_left`` and ``carried_by``, the alias of the first version that carries it out.
    """
    aliases = registry.aliases()
    versions = {int(one.version): _version(one, aliases) for one in registry.versions()} if aliases else {}
    named = {alias: versions.get(aliases.get(alias, 0)) for alias in ALIASES}
    pending = [one for one in read_requests(requests).values() if one.carried_out is None]
    rows = [
        {
            "id": one.id,
            "people": one.people,
            "deadline": str(one.deadline),
            "days_left": (one.deadline - today).days,
            "carried_by": next(
                (alias for alias in (CHAMPION, "candidate") if one.id in (named[alias] or {}).get("requests", ())), None
            ),
        }
        for one in sorted(pending, key=lambda one: (one.deadline, one.id))
    ]
    return {
        "model_name": registry.name,
        "tracking_uri": without_secrets(registry.uri),
        **named,
        "requests": rows,
        "verdicts": list(versions.values())[:VERDICTS],
    }


def _version(version: Any, aliases: dict[str, int]) -> dict[str, Any]:
    tags, number = version.tags, int(version.version)
    how = json.loads(tags["promotion"]) if "promotion" in tags else {}
    return {
        "version": number,
        **{name: tags.get(name) for name in ("verdict", "policy", "leakage", "retain")},
        "requests": [one for one in tags.get("requests", "").split(", ") if one],
        "aliases": [alias for alias in ALIASES if aliases.get(alias) == number],
        "forced": tags.get(FORCED),
        "since": how.get("at") if how.get("done") else None,
    }


def screen(found: dict[str, Any]) -> RenderableType:
    """Return the screen for a console of 80 columns or more."""
    parts: list[RenderableType] = [Text(f"{found['model_name']} in {found['tracking_uri']}", style="bold")]
    for alias in ALIASES:
        parts.append(Text(f"{alias:<10} {_line(found[alias])}"))
    if (champion := found["champion"]) and champion["forced"]:
        parts.append(Text(f"the champion was forced: {champion['forced']}", style="bold red"))
    parts += ["", _verdicts(found["verdicts"]) if found["verdicts"] else Text("no version yet: 'dvc repro' makes one")]
    parts += [_requests(found["requests"]) if found["requests"] else Text("no pending forget request")]
    if any(one["carried_by"] == CHAMPION for one in found["requests"]):
        parts.append(Text("carried out by the champion, not marked yet: 'viker promote champion' marks them as done"))
    return Group(*parts)


def _line(version: dict[str, Any] | None) -> str:
    if version is None:
        return "–"
    champion = CHAMPION in version["aliases"] and version["since"]
    since = f", champion since {version['since'][:16].replace('T', ' ')} UTC" if champion else ""
    return f"version {version['version']}{since}"


def _verdicts(versions: list[dict[str, Any]]) -> Table:
    table = Table(title="Last verdicts", title_justify="left")
    for heading in ("version", "verdict", "policy", "leakage", "retain", "requests", "aliases"):
        table.add_column(heading, justify="right" if heading in ("version", "leakage", "retain") else "left")
    for one in versions:
        colour = "green" if one["verdict"] == "pass" else "bold red"
        table.add_row(
            str(one["version"]),
            Text(one["verdict"] or "–", style=colour),
            *(one[name] or "–" for name in ("policy", "leakage", "retain")),
            Text(", ".join(one["requests"]) or "–"),
            ", ".join(one["aliases"]),
        )
    return table


def _requests(rows: list[dict[str, Any]]) -> Table:
    table = Table("request", "people", "deadline", "left", "carried by", title="Pending requests", title_justify="left")
    for one in rows:
        late = one["days_left"] < 0
        left = f"{-one['days_left']} days overdue" if late else f"{one['days_left']} days"
        cells = (one["id"], ", ".join(one["people"]), one["deadline"])
        table.add_row(*map(Text, cells), Text(left, style="bold red" if late else ""), one["carried_by"] or "–")
    return table
