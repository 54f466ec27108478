"""The stage report, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import NOBODY, Input, Option, Output, Stage
from viker.report.settings import ReportParams


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data: pictures, answers, counts.")]
    requests: Annotated[Path, Option(Path("requests"), "The folder of forget requests; may be missing.")]
    pending: Annotated[
        Path | None, Option(None, "A JSON file of request files by name, in its place.", "FILE", engine="pending")
    ]
    unlearning: Annotated[Path, Input("unlearning", "Loss and key-token records of unlearn.")]
    predictions: Annotated[Path, Input("predictions", "The models' replies.")]
    metrics: Annotated[Path, Input("metrics", "What evaluate measured.")]
    gate: Annotated[Path, Input("judged", "The gate's verdict.")]
    register: Annotated[Path, Input("registered", "The registered version; may be missing.")]
    earlier: Annotated[
        list[Path] | None, Option(None, "Metrics of an earlier run, for the plot of forget against retain.")
    ]
    out: Annotated[
        Path, Output("evidence", "report/report.html", "The report is written here.", "HTML", personal=NOBODY)
    ]
    bundle: Annotated[
        Path, Output("bundle", "report/evidence.zip", "The evidence bundle is written here.", personal=NOBODY)
    ]


STAGE = Stage(
    name="report",
    help="Write the evidence report and the bundle that anyone can check.",
    arguments=Arguments,
    section=ReportParams,
    reads=None,
    requirements=("data", "report"),
    image_megabytes=1080,
)
