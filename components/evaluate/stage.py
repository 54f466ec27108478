"""The stage evaluate, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import NOBODY, Input, Option, Output, Personal, Scratch, Stage
from viker.evaluation.settings import EvaluateParams

REPLIES = Personal("everybody", "questions, true answers, replies and IDs")
UNDER_WAY = Personal("everybody", "replies", kept="until the run is over", copies=())


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data.")]
    vanilla: Annotated[Path, Input("vanilla", "The model that knows the people.")]
    adapter: Annotated[Path, Input("adapter", "The adapter that forgets.")]
    irrelevant: Annotated[Path, Input("irrelevant", "The irrelevant images.")]
    predictions: Annotated[
        Path, Output("predictions", "evaluation/predictions.parquet", "Every reply.", "Dataset", personal=REPLIES)
    ]
    attacks: Annotated[
        Path, Output("attacks", "evaluation/attacks.parquet", "Every reply under attack.", "Dataset", personal=REPLIES)
    ]
    metrics: Annotated[Path, Output("metrics", "metrics/evaluate.json", "The metrics.", "Metrics", personal=NOBODY)]
    work: Annotated[
        Path,
        Scratch("work/evaluate", "Keeps replies until the run is over.", "evaluate/{inputs}", personal=UNDER_WAY),
    ]
    answers: Annotated[
        list[Path] | None,
        Option(None, "Answers that components.evaluate.part has asked for already.", "FOLDER", engine="answers"),
    ] = None


STAGE = Stage(
    name="evaluate",
    help="Question and attack the vanilla and the unlearned model; a task that was killed resumes.",
    arguments=Arguments,
    section=EvaluateParams,
    reads=("seed", "threads"),
    results=(("outcome", str),),
    loads_model=True,
    requirements=("data", "torch", "models", "measure", "evaluate"),
    image_megabytes=2100,
)
