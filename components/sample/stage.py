"""The stage sample, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import Input, Output, Personal, Scratch, Stage
from viker.data.settings import SampleParams

SHARED = Personal("everybody", "what prepare keeps there; of images, nothing", copies=())
ASSIGNED = Personal("forget", "IDs of records; with sample.kinds forget or retain, pictures of people too")


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data, to check against.")]
    out: Annotated[
        Path,
        Output(
            "irrelevant",
            "data/irrelevant",
            "The images, who gets which, and the manifest.",
            "Dataset",
            personal=ASSIGNED,
        ),
    ]
    cache: Annotated[
        Path,
        Scratch(
            "data/sources",
            "What is fetched of a folder that isn't local; prepare's fingerprints of pictures are read there.",
            "sources",
            personal=SHARED,
        ),
    ]


STAGE = Stage(
    name="sample",
    help="Choose or draw the irrelevant images.",
    arguments=Arguments,
    section=SampleParams,
    reads=("seed",),
    outside=True,
    requirements=("data", "sources", "sample"),
    image_megabytes=1200,
)
