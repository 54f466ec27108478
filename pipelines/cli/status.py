"""``viker status``: champion, candidate, pending requests and the last verdicts, in one screen."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.contract.params import load_params
from pipelines.cli.registry import open_registry, requests_folder
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.redact import without_secrets
from viker.data.requests import read_requests
from viker.registry.versions import ALIASES, CANDIDATE, CHAMPION, FORCED, PROMOTION, Registry

VERDICTS = 5
"""How many of the newest versions are shown."""


def status(
    as_json: JsonOption = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show the champion, the candidate, the pending forget requests and the last verdicts."""
    settings = load_params(params)
    folder = requests_folder(settings.prepare.requests)
    registry = open_registry(settings)
    with registry.explained("the registry can't be read"):
        state = gather(registry, folder, date.today())
    if as_json:
        say_json(_with_numbers(state))
    else:
        Console(highlight=False).print(screen(state))


def _with_numbers(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state with the versions' figures as numbers; tags are text."""

    def version(one: dict[str, Any] | None) -> dict[str, Any] | None:
        return one and one | {name: _number(one[name]) for name in ("leakage", "retain")}

    named = {alias: version(state[alias]) for alias in ALIASES}
    return state | named | {"verdicts": [version(one) for one in state["verdicts"]]}


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def gather(registry: Registry, requests: Path, today: date) -> dict[str, Any]:
    """Return the state of the registry and the requests.

    ``champion``, ``candidate``, ``previous``: a version or None; ``verdicts``: the newest versions. A version has
    ``version``, ``verdict``, ``policy``, ``leakage``, ``retain`` (text, as in the tags), ``requests``, ``aliases``,
    ``forced`` (the reason, or None) and ``since``, when it became champion. ``requests``: the pending ones, the most
    urgent first, each with ``days_left`` and ``carried_by``, the alias of the first version that carries it out.
    """
    aliases = registry.aliases()
    versions = {int(v.version): _version(v, aliases) for v in registry.versions()} if aliases else {}
    named = {alias: versions.get(aliases.get(alias, 0)) for alias in ALIASES}
    pending = [request for request in read_requests(requests).values() if request.carried_out is None]
    carriers = [(alias, version["requests"]) for alias in (CHAMPION, CANDIDATE) if (version := named[alias])]
    rows = [
        {
            "id": request.id,
            "people": request.people,
            "deadline": str(request.deadline),
            "days_left": (request.deadline - today).days,
            "carried_by": next((alias for alias, ids in carriers if request.id in ids), None),
        }
        for request in sorted(pending, key=lambda request: (request.deadline, request.id))
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
    promotion = json.loads(tags[PROMOTION]) if PROMOTION in tags else {}
    return {
        "version": number,
        **{name: tags.get(name) for name in ("verdict", "policy", "leakage", "retain")},
        "requests": [request for request in tags.get("requests", "").split(", ") if request],
        "aliases": [alias for alias in ALIASES if aliases.get(alias) == number],
        "forced": tags.get(FORCED),
        "since": promotion.get("at") if promotion.get("done") else None,
    }


def screen(state: dict[str, Any]) -> RenderableType:
    """Return the screen for a console of 80 columns or more."""
    parts: list[RenderableType] = [
        Text(f"{state['model_name']} in {state['tracking_uri']}", style="bold"),
        *(Text(f"{alias:<10} {_line(state[alias])}") for alias in ALIASES),
    ]
    if (champion := state["champion"]) and champion["forced"]:
        parts.append(Text(f"the champion was forced: {champion['forced']}", style="bold red"))
    parts += ["", _verdicts(state["verdicts"]) if state["verdicts"] else Text("no version yet: run 'dvc repro'")]
    parts += [_requests(state["requests"]) if state["requests"] else Text("no pending forget request")]
    if any(request["carried_by"] == CHAMPION for request in state["requests"]):
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
    for version in versions:
        colour = "green" if version["verdict"] == "pass" else "bold red"
        table.add_row(
            str(version["version"]),
            Text(version["verdict"] or "–", style=colour),
            Path(version["policy"] or "–").name,
            *(version[name] or "–" for name in ("leakage", "retain")),
            Text(", ".join(version["requests"]) or "–"),
            ", ".join(version["aliases"]),
        )
    return table


def _requests(rows: list[dict[str, Any]]) -> Table:
    table = Table("request", "people", "deadline", "left", "carried by", title="Pending requests", title_justify="left")
    for row in rows:
        late = row["days_left"] < 0
        left = f"{-row['days_left']} days overdue" if late else f"{row['days_left']} days"
        cells = (row["id"], ", ".join(row["people"]), row["deadline"])
        table.add_row(*map(Text, cells), Text(left, style="bold red" if late else ""), row["carried_by"] or "–")
    return table
