"""Which stages ``dvc repro`` would run, and how long they will take."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from components.contract.params import Params
from viker.core.files import write_json

TIMES = Path("work/repro/seconds.json")
"""Seconds that each stage took when it last ran here."""
DEMO = "components/finetune/vanilla"
"""The demo's model, as finetune.deployed_model names it."""
DEMO_SECONDS: Mapping[str, float] = {
    **{"prepare": 5, "finetune": 5, "sample": 1, "unlearn": 43},
    **{"evaluate": 23, "gate": 4, "register": 3, "report": 3},
}
"""How long the demo's stages took on two idle cores, in a fresh environment."""


def due(root: Path) -> list[str]:
    """Return the stages of the DVC repository ``root`` that are due or read what one of them writes, in order.

    The latter may turn out to have nothing to do.
    """
    import networkx as nx
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        changed, graph = set(repo.status()), repo.index.graph  # its edges go from a stage to those it reads from
        ordered = [stage for stage in nx.lexicographical_topological_sort(graph.reverse(), key=_place) if stage.cmd]
        names: dict[Any, str] = {stage: stage.addressing for stage in ordered}
        behind = {stage for stage in ordered if names[stage] in changed}
        behind |= {later for stage in list(behind) for later in nx.ancestors(graph, stage)}
        return [names[stage] for stage in ordered if stage in behind]


def _place(stage: Any) -> str:
    from components.contract.stages import stages

    known = list(stages())
    return f"{known.index(stage.name):03}" if getattr(stage, "name", None) in known else stage.addressing


def estimate(root: Path, pending: Sequence[str], params: Params | None) -> str:
    """Return in a line how long ``pending`` will take, by their last runs here, or by the demo's on another machine."""
    last: dict[str, float] = {}
    with suppress(OSError, ValueError):
        last = json.loads((root / TIMES).read_text(encoding="utf-8"))
    demo = params is not None and params.finetune.deployed_model == DEMO
    known = {stage: last.get(stage) or (DEMO_SECONDS.get(stage) if demo else None) for stage in pending}
    if unknown := [stage for stage, seconds in known.items() if seconds is None]:
        return f"No estimate: {', '.join(unknown)} never ran here."
    total = sum(seconds for seconds in known.values() if seconds)
    source = "as they last took here" if all(stage in last for stage in pending) else "as on two idle cores"
    return f"About {_words(total)}, {source}."


def remember(root: Path, times: Mapping[str, float]) -> None:
    """Keep how long stages took, for the next estimate."""
    if not times:
        return
    before: dict[str, float] = {}
    with suppress(OSError, ValueError):
        before = json.loads((root / TIMES).read_text(encoding="utf-8"))
    (root / TIMES).parent.mkdir(parents=True, exist_ok=True)
    write_json(root / TIMES, before | {stage: round(seconds, 1) for stage, seconds in times.items()})


def _words(seconds: float) -> str:
    if seconds >= 100:
        return f"{seconds / 60:.0f} minutes"
    return f"{round(seconds, -1 if seconds > 10 else 0):.0f} seconds"
