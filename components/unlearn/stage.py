"""The stage unlearn, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import Input, Option, Output, Personal, Scratch, Stage
from viker.training.settings import UnlearnParams

WEIGHTS = Personal(
    "forget",
    "weights that were trained on their records, without text or picture",
    form="weights",
    kept="as long as its version",
    copies=("DVC's cache and remote", "MLflow"),
)
TOKENS = Personal("forget", "questions and the tokens of the answers (to MLflow: entropies alone)")
STATE = Personal(
    "forget", "what the teacher expects of their answers, as numbers", kept="until the run is over", copies=()
)


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data.")]
    vanilla: Annotated[Path, Input("vanilla", "The model that knows the people.")]
    irrelevant: Annotated[Path, Input("irrelevant", "The irrelevant images.")]
    out: Annotated[Path, Output("adapter", "models/adapter", "The adapter, a PEFT folder.", "Model", personal=WEIGHTS)]
    records: Annotated[Path, Output("unlearning", "unlearning", "Loss curve and key tokens.", personal=TOKENS)]
    state: Annotated[
        Path,
        Scratch("work/unlearn", "Where a run under way keeps its checkpoints.", "unlearn/{inputs}", personal=STATE),
    ]
    start: Annotated[
        Path | None,
        Option(
            None,
            "The adapter to train further, in place of unlearn.start_from; a folder without one: from the beginning.",
            "FOLDER",
            engine="start",
        ),
    ] = None
    teachers: Annotated[
        list[Path] | None,
        Option(None, "What components.unlearn.part has asked the teacher already.", "FOLDER", engine="teachers"),
    ] = None
    probes: Annotated[
        Path | None, Option(None, "Append cheap probes to this file after each epoch, for 'viker tune'.", "FILE")
    ] = None


STAGE = Stage(
    name="unlearn",
    help="Train the adapter that forgets; a task that was killed resumes from its last checkpoint.",
    arguments=Arguments,
    section=UnlearnParams,
    reads=("seed", "threads"),
    results=(("outcome", str),),
    loads_model=True,
    processes=True,
    requirements=("data", "torch", "models", "unlearn"),
    image_megabytes=1900,
)
