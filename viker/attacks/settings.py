"""The section evaluate.attacks of params.yaml: a section an attack."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from viker.core.settings import Section

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Change = Literal["crop", "flip", "blur", "jpeg", "brightness", "caption"]


class AttackParams(Section):
    """What every attack has."""

    enabled: bool
    questions: Positive
    """The most questions that are attacked, drawn by the seed and spread over the people."""


class ParaphraseParams(AttackParams):
    """Questions in other words."""

    wordings: Positive
    """Wordings a question: the data's own first, then templates."""


class PictureChangesParams(AttackParams):
    """The person's picture, changed."""

    changes: Annotated[list[Change], Field(min_length=1)]


class OtherPicturesParams(AttackParams):
    """Other pictures of the person."""

    pictures: Positive
    """Pictures a question."""


class SamplingParams(AttackParams):
    """Several drawn replies in place of the likeliest one."""

    temperatures: Annotated[list[Rate], Field(min_length=1)]
    samples: Positive
    """Replies a question and temperature; one that leaks is enough."""


class FewShotParams(AttackParams):
    """Answers about retain people before the question."""

    examples: Positive


class Int4Params(AttackParams):
    """Weights of 4 bits."""

    group: Positive
    """Weights that share a scale."""


class RelearnParams(AttackParams):
    """A short training on a few samples."""

    samples: Positive
    """How many samples are trained on."""
    steps: Annotated[list[Positive], Field(min_length=1)]
    """After how many steps the questions are asked."""
    batch_size: Positive
    lr: Rate

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: list[int]) -> list[int]:
        if steps != sorted(set(steps)):
            raise ValueError("expected rising numbers, none twice")
        return steps


class AttacksParams(Section):
    """Which attacks are made on both models, and how."""

    paraphrase: ParaphraseParams
    picture_changes: PictureChangesParams
    other_pictures: OtherPicturesParams
    text_only: AttackParams
    prefix: AttackParams
    multiple_choice: AttackParams
    sampling: SamplingParams
    few_shot: FewShotParams
    typographic: AttackParams
    quantised_int8: AttackParams
    quantised_int4: Int4Params
    relearn_forget: RelearnParams
    relearn_retain: RelearnParams
    probe: AttackParams
