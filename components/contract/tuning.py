"""The section 'tune' of params.yaml: what 'viker tune' searches. No stage reads it."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from viker.core.settings import Positive, Section, Share, shown


class Range(Section):
    """The values between two numbers, both included; whole numbers alone where both are."""

    low: float | int
    high: float | int
    log: bool = False
    """Whether values are drawn evenly on a logarithmic scale."""


SPACE: dict[str, Any] = {
    "unlearn.method.lambda": Range(low=1.0, high=4.0, log=True),
    "unlearn.method.teacher": ["irrelevant", "counterfactual", "population", "masked"],
    "unlearn.method.retain.weight": Range(low=1.0, high=20.0, log=True),
    "unlearn.lr": Range(low=0.0003, high=0.003, log=True),
    "unlearn.epochs": Range(low=4, high=16),
}
EXPECTED = "expected a range, such as {low: 0.5, high: 4.0, log: true}, or a list of values"


class TuneParams(Section):
    """What 'viker tune' searches, and how it ranks trials."""

    space: Annotated[dict[str, Range | list[Any]], Field(min_length=1)] = SPACE
    """Ranges or lists of values, by dotted keys of the section unlearn."""
    forgotten: Share = 0.1
    """Mean probability of a private value, after the true prefix, up to which a trial counts as having forgotten: of
    those trials the gate sees first the one that changed least for others."""
    finalists: Positive = 4
    """How many trials are evaluated in full and judged by the gate, at most."""

    @field_validator("space", mode="before")
    @classmethod
    def _can_be_searched(cls, space: Any) -> Any:
        for key, values in space.items() if isinstance(space, dict) else ():
            if not str(key).startswith("unlearn."):
                raise ValueError(f"'{key}' is no key of the section unlearn; data and models stay as they are")
            _check(key, values)
        return space


def _check(key: str, values: Any) -> None:
    """Raise ValueError: neither a range nor a list with a choice; said here, once, instead of for each kind."""
    if isinstance(values, Range):
        return
    if isinstance(values, list):
        if len(values) < 2:
            raise ValueError(f"'{key}' has {len(values)} values to choose from: list two or more")
        return
    if not isinstance(values, dict) or not {"low", "high"} <= values.keys() <= {"low", "high", "log"}:
        raise ValueError(f"'{key}' is {shown(values)}: {EXPECTED}")
    low, high, log = values["low"], values["high"], values.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not isinstance(log, bool):
        raise ValueError(f"'{key}' is {shown(values)}: {EXPECTED}")
    if not low < high:
        raise ValueError(f"'{key}': low is {low}, high is {high}; expected low to be below high")
    if log and low <= 0:
        raise ValueError(f"'{key}': low is {low}; expected a number above 0 on a logarithmic scale")
