"""The stage prepare, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import NOBODY, Option, Output, Personal, Scratch, Stage
from viker.data.settings import PrepareParams

RECORDS = Personal("everybody", "questions, answers, names, pictures and IDs")
FETCHED = Personal("everybody", "the source as it was fetched, and fingerprints of its pictures", copies=())


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    out: Annotated[
        Path,
        Output(
            "prepared",
            "data/prepared",
            "The splits, pictures and manifest.",
            "Dataset",
            parts=(("manifest", ("manifest.json",)),),
            personal=RECORDS,
        ),
    ]
    validation: Annotated[Path, Output("validation", "validation", "The page on the validation.", personal=NOBODY)]
    cache: Annotated[
        Path,
        Scratch(
            "data/sources",
            "What is fetched of a source that isn't local, and fingerprints of pictures.",
            "sources",
            personal=FETCHED,
        ),
    ]
    requests: Annotated[
        Path | None,
        Option(None, "A JSON file of request files by name, in place of prepare.requests.", "FILE", engine="pending"),
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
