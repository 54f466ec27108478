"""The stage finetune, declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from components.contract.stages import Input, Output, Personal, Stage
from viker.finetuning.settings import FinetuneParams

MEMORISED = Personal(
    "everybody",
    "what the model has memorised; a tokenizer that is trained here has words of the answers in its vocabulary",
    form="weights",
    kept="as long as an adapter is used with it",
)


@dataclass(frozen=True)
class Arguments:
    """What the program takes."""

    prepared: Annotated[Path, Input("prepared", "The prepared data.")]
    out: Annotated[
        Path,
        Output("vanilla", "models/vanilla", "The vanilla model, a transformers folder.", "Model", personal=MEMORISED),
    ]


STAGE = Stage(
    name="finetune",
    help="Make the vanilla model, or point to the deployed one.",
    arguments=Arguments,
    section=FinetuneParams,
    reads=("seed", "threads"),
    requirements=("data", "torch", "models"),
    image_megabytes=1900,
)
