"""The declaration of a metric, from which tables, columns and documentation are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from viker.data.tasks import OPEN_TASKS
from viker.metrics.base.reply import Reply

Direction = Literal["lower", "higher"] | float | None
"""Which values are good: lower ones, higher ones, those near a number; None: neither way."""
Block = Literal["split", "fluency", "membership", "clear", "umu", "run"]
"""Where in metrics/evaluate.json: under each split, a block of each model, or at the top level."""
Value = bool | float | None
RATES = ("share of replies", "share of people")
"""The units of means of true and false."""


@dataclass(frozen=True)
class Better:
    """Which values are good: ``forget``, on forget and test; ``retain``, on retain and real: about everyone else."""

    forget: Direction
    retain: Direction


def direction(good: Direction) -> str:
    """Return which values are good: "lower is better" and the like, "" where neither is."""
    if good is None:
        return ""
    return f"{good} is better" if isinstance(good, str) else f"near {good:g} is better"


def common_direction(better: Better) -> str:
    """Return which values are good on forget and test, and on retain and real."""
    forget, retain = direction(better.forget), direction(better.retain)
    if forget == retain:
        return forget
    parts = ((forget, "forget and test"), (retain, "retain and real"))
    return ", ".join(f"{good} on {splits}" for good, splits in parts if good)


FORGOTTEN = Better("lower", "higher")
"""Of what measures knowledge: it should be gone on forget and test, and kept on retain and real."""
LOWER = Better("lower", "lower")
HIGHER = Better("higher", "higher")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: what it measures, how to read it, and how it is computed.

    A metric's figure is the mean over replies of ``of_reply``, unless ``per_person`` or ``compare`` says otherwise.

    Attributes:
        name: its key in metrics/evaluate.json.
        heading: what tables call it; the words of its name if not given.
        meaning: what it is, a clause for the documentation.
        source: paper or protocol that it comes from.
        better: which values are good.
        computed_from: a reply's text; likelihoods of answers or replies; labels, that is questions with one right
            choice; or models side by side, which ``viker.evaluation`` computes.
        range: lowest and highest value.
        unit: of its values.
        blocks: where in metrics/evaluate.json it stands.
        tasks: the tasks whose replies it is computed from.
        of_reply: its value for one reply; None where the reply has none. A metric without it aggregates the
            ``column`` of another one.
        column: what the table of replies calls its values; its name if not given.
        is_flag: whether ``of_reply`` returns true or false, so that its mean is a rate.
        in_predictions: whether evaluation/predictions.parquet has the column.
        of_value: applied to each value of the column before the mean; so several metrics can read one column.
        per_person: mean over people rather than replies; a person's value is the largest of their replies'.
        finish: applied to the mean and to the bounds of its interval; increasing.
        compare: the figure, from the values of the forget people and those of people never seen.
        order: place in tables, lower first; those of equal order by name.
        prominence: ``summary``: in every table and on the console; ``brief``: in short tables too; ``full``: only where
            all metrics are listed.
    """

    name: str
    heading: str = ""
    meaning: str
    source: str
    better: Better
    computed_from: Literal["text", "likelihoods", "labels", "models"] = "text"
    range: tuple[float, float] = (0.0, 1.0)
    unit: str = "share of replies"
    blocks: tuple[Block, ...] = ("split",)
    tasks: tuple[str, ...] = OPEN_TASKS
    of_reply: Callable[[Reply], Value] | None = None
    column: str = ""
    is_flag: bool = False
    in_predictions: bool = True
    of_value: Callable[[float], float] | None = None
    per_person: bool = False
    finish: Callable[[float], float] | None = None
    compare: Callable[[Sequence[float], Sequence[float]], float] | None = None
    order: int = 1000
    prominence: Literal["summary", "brief", "full"] = "full"

    def __post_init__(self) -> None:
        """Name heading and column after the metric unless they have names of their own."""
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "heading", self.heading or self.name.replace("_", " ").capitalize())

    @property
    def within(self) -> tuple[float, float] | None:
        """Return the range of its values where it is a rate, whose interval is exact; None: see ``interval``."""
        return self.range if self.unit in RATES else None
