"""The stage gate, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import NOBODY, Input, Option, Output, Stage
from viker.gate.settings import GateParams


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data.")]
    vanilla: Annotated[Path, Input("vanilla", "The model that knows the people.")]
    adapter: Annotated[Path, Input("adapter", "The adapter that forgets.")]
    unlearning: Annotated[Path, Input("unlearning", "The records of the unlearning run.")]
    predictions: Annotated[Path, Input("predictions", "Every reply.")]
    attacks: Annotated[Path, Input("attacks", "Every reply under attack.")]
    metrics: Annotated[Path, Input("metrics", "What evaluate measured.")]
    out: Annotated[
        Path, Output("judged", "metrics/gate.json", "Where the verdict goes, JSON.", "Metrics", personal=NOBODY)
    ]
    enforce: Annotated[
        bool,
        Option(
            True,
            "Exit with 3 if the gate fails; else exit with 0 and leave it to readers of the verdict.",
            engine=False,
        ),
    ]
    power: Annotated[
        bool,
        Option(
            False,
            "Don't judge; show per rule what these data could show at best, and how many people it takes.",
        ),
    ] = False


STAGE = Stage(
    name="gate",
    help="Judge the metrics by the policy, against the files; the verdict is pass or fail.",
    arguments=Arguments,
    section=GateParams,
    reads=("seed", "evaluate"),
    results=(("verdict", str),),
    requirements=("data", "measure"),
    image_megabytes=950,
)
