"""The stage prepare, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import Option, Output, Scratch, Stage
from viker.data.settings import PrepareParams


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    out: Annotated[Path, Output("prepared", "data/prepared", "The splits, pictures and manifest.", "Dataset")]
    validation: Annotated[Path, Output("validation", "validation", "Data Docs of the validation.")]
    cache: Annotated[Path, Scratch("data/sources", "What is fetched of a source that isn't local.", "sources")]
    requests: Annotated[
        str | None,
        Option(None, "Request files by name, in place of the folder prepare.requests.", "JSON", kubeflow="pending"),
    ]


STAGE = Stage(
    name="prepare",
    help="Read or generate the benchmark, validate it, write the splits.",
    arguments=Arguments,
    section=PrepareParams,
    reads=("seed",),
    outside=True,
    requirements=("data", "sources", "prepare"),
    image_megabytes=1200,
)
