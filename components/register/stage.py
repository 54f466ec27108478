"""The stage register, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import NOBODY, Input, Option, Output, Stage
from viker.registry.settings import RegisterParams


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    adapter: Annotated[Path, Input("adapter", "The LoRA adapter to register.")]
    model: Annotated[Path, Input("vanilla", "The vanilla model that it belongs to.")]
    prepared: Annotated[Path, Input("prepared", "The prepared data: its manifest is kept.", "manifest")]
    unlearning: Annotated[Path, Input("unlearning", "The records of the unlearning run: its summary.")]
    metrics: Annotated[Path, Input("metrics", "What evaluate measured.")]
    gate: Annotated[Path, Input("judged", "The gate's verdict.")]
    out: Annotated[
        Path,
        Output("registered", "metrics/register.json", "Run, version and aliases are written here.", personal=NOBODY),
    ]
    promote: Annotated[
        bool, Option(True, "Promote it if the gate passed; else leave that to what follows.", engine=False)
    ]


STAGE = Stage(
    name="register",
    help="Record the run in MLflow and register the adapter with its verdict.",
    arguments=Arguments,
    section=RegisterParams,
    reads=None,
    results=(("version", int), ("gate_verdict", str)),
    cached=False,
    requirements=("register",),
    image_megabytes=650,
)
