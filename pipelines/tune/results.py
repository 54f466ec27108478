"""What a study leaves: the table of its trials, the frontier as a plot, and a page with both."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from pipelines.tune.study import Trial, complete, frontier
from pipelines.tune.verdicts import Finalist, chosen
from viker.core.files import new_file
from viker.report.svg import AFTER, BEFORE, INK, LIMIT, as_svg, drawing

FORGET, RETAIN = "private values' probability, people to forget", "divergence from vanilla, people to retain (nats)"


def write_results(folder: Path, found: Mapping[str, Any]) -> None:
    """Write ``trials.csv``, ``frontier.png`` and ``tune.html``."""
    rows = list(table(found["trials"], found["finalists"]))
    with new_file(folder / "trials.csv") as path, path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with new_file(folder / "frontier.png") as path:
        svg = plot(found["trials"], found["finalists"], path)
    loader = ChoiceLoader([PackageLoader("pipelines.tune"), PackageLoader("viker.report")])
    templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = templates.get_template("tune.html.j2")
    best = chosen(found["finalists"])
    with new_file(folder / "tune.html") as path:
        path.write_text(page.render(**found, rows=rows, plot=svg, chosen=best), encoding="utf-8")


def table(finished: Sequence[Trial], finalists: Sequence[Finalist]) -> list[dict[str, Any]]:
    """Return one row per trial: values, probes, seconds, and what the gate said of it, if it was asked."""
    judged = {one.trial.number: one for one in finalists}
    front = {trial.number for trial in frontier(finished)}
    return [
        {
            "trial": trial.number + 1,
            **trial.values,
            "state": trial.state,
            "epoch": trial.probe and trial.probe.epoch,
            "forget": trial.probe and trial.probe.forget,
            "teacher": trial.probe and trial.probe.teacher,
            "retain": trial.probe and trial.probe.retain,
            "seconds": round(trial.seconds, 1),
            "frontier": trial.number in front,
            "gate": judged[trial.number].verdict["verdict"] if trial.number in judged else "",
            "kept": judged[trial.number].kept if trial.number in judged else None,
        }
        for trial in finished
    ]


def plot(finished: Sequence[Trial], finalists: Sequence[Finalist], out: Path) -> Markup:
    """Draw each trial by its two probes, left and down is better, as a PNG; return the same as an SVG element."""
    judged = {one.trial.number: one.passed for one in finalists}
    points = [(trial, trial.probe) for trial in finished if trial.probe]
    kinds = {
        "gate passed": (AFTER, "o", [p for t, p in points if judged.get(t.number) is True]),
        "gate failed": (LIMIT, "s", [p for t, p in points if judged.get(t.number) is False]),
        "not judged": (BEFORE, "o", [p for t, p in points if t.number not in judged and t.state == "complete"]),
        "pruned": (BEFORE, "x", [p for t, p in points if t.state == "pruned"]),
    }
    with drawing("frontier", 3.4) as (figure, axes):
        front = {trial.number for trial in frontier(finished)}
        line = sorted((p.forget, p.retain) for t, p in complete(finished) if t.number in front)
        if line:
            axes.plot(*zip(*line, strict=True), color=INK, alpha=0.5, linewidth=1, linestyle="--", label="frontier")
        for label, (colour, marker, probes) in kinds.items():
            if probes:
                x, y = [p.forget for p in probes], [p.retain for p in probes]
                axes.scatter(x, y, c=colour, marker=marker, label=label)
        for trial, probe in points:
            at = (probe.forget, probe.retain)
            axes.annotate(str(trial.number + 1), at, xytext=(4, 4), textcoords="offset points", fontsize=7, color=INK)
        axes.set_xlabel(FORGET)
        axes.set_ylabel(RETAIN)
        if points:
            axes.legend(loc="best")
        svg = as_svg(figure, "frontier", f"{len(points)} trials by what they forget and how far they diverge")
        figure.savefig(out, format="png", dpi=180, facecolor="white", metadata={"Software": None})
    return svg
