"""The rows of the metrics' tables, made from the metrics' declarations."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.attacks.base.attack import load_attacks
from viker.gate.rules import finite, look_up
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.base.metric import Block, Metric, direction
from viker.report.formatting import ABSENT, MISSING, Cell, measured, words

MODELS = ("vanilla", "unlearned")
MEANING = {
    "forget": "the pictures and questions to forget",
    "test": "the same people, other pictures and wordings",
    "retain": "everyone else",
    "real": "public figures",
}
TO_FORGET = ("forget", "test")
"""The splits about people who should be forgotten; what is good on the others is for the model to keep."""


@dataclass(frozen=True)
class Row:
    """A metric: its heading, a note on how to read it, one cell per model, and the paired difference or None."""

    heading: str
    note: str
    cells: list[Cell]
    difference: Cell | None = None


def split_rows(metrics: Mapping[str, Any], split: str, text_only: bool = False) -> list[Row]:
    """Return one row per metric of a split's questions with a picture, or of the main ones for those without."""
    under = "text_only." if text_only else ""
    rows = []
    for metric in metrics_of("split"):
        if text_only and metric.prominence == "full":
            continue
        count = look_up(metrics, f"unlearned.{split}.{under}counts.{metric.name}")
        size = f"{count:.0f} {'people' if metric.per_person else 'replies'}" if count else ""
        note = "; ".join(filter(None, (size, _exception(metric, "split", split))))
        difference = _difference(metrics, f"differences.{split}.{under}{metric.name}")
        rows.append(Row(metric.heading, note, _cells(metrics, f"{split}.{under}{metric.name}"), difference))
    return rows


def block_rows(metrics: Mapping[str, Any], block: Block) -> list[Row]:
    """Return one row per metric of a block that both models have, such as fluency."""
    shown = metrics_of(block)
    return [Row(one.heading, _exception(one, block), _cells(metrics, f"{block}.{one.name}")) for one in shown]


def usual_direction(block: Block, split: str = "forget") -> str:
    """Return which values are good for most metrics of a block, such as "lower is better"; on a split, if it is one."""
    return Counter(_direction(metric, split) for metric in metrics_of(block)).most_common(1)[0][0]


def run_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """Return one row per metric of the run as a whole, which compares the unlearned model with another one."""
    return [
        Row(metric.heading, direction(metric.better.forget), [measured({"run": metrics}, f"run.{metric.name}")])
        for metric in metrics_of("run")
    ]


def nested_rows(metrics: Mapping[str, Any], group: str) -> list[Row]:
    """Return one row per number that either model has anywhere below a group, under its path."""
    paths = dict.fromkeys(path for model in MODELS for path in _paths((metrics.get(model) or {}).get(group)))
    return [Row(words(path.replace(".", ": ")), "", _cells(metrics, f"{group}.{path}")) for path in paths]


def summary_metrics(block: Block) -> list[Metric]:
    """Return the metrics of a block that fit a console of 80 columns."""
    return [metric for metric in metrics_of(block) if block != "split" or metric.prominence == "summary"]


def attacks(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the block of each attack by model; anything else than a block is left out."""
    blocks = {model: (metrics.get(model) or {}).get("attacks") or {} for model in MODELS}
    return {
        model: {name: block for name, block in of_model.items() if isinstance(block, Mapping)}
        for model, of_model in blocks.items()
    }


def fallbacks(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a run went without, a fast path or a full batch, and why, from its record; nothing if all held."""
    engine = record.get("engine")
    entries = engine.get("fallbacks") if isinstance(engine, Mapping) else None
    return [
        (str(entry.get("what", MISSING)), str(entry.get("reason", MISSING)))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    ]


def attack_heading(name: str) -> str:
    """Return what an attack calls itself, or the words of its name where it is not installed here."""
    attack = load_attacks().get(name)
    return attack.heading if attack else words(name)


def verdict(gate: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether the gate passed, and the sentence that says so with the number of its rules."""
    results = [*(gate.get("rules") or []), *(gate.get("require") or [])]
    met = sum(result.get("passed") is True for result in results)
    if gate.get("verdict") == "pass" and gate.get("rules") and met == len(results):
        return True, f"Passed: all {met} rules of the gate are met; the adapter may be promoted."
    return False, f"Failed: {met} of {len(results)} rules of the gate are met; the adapter must not be promoted."


def _direction(metric: Metric, split: str = "forget") -> str:
    return direction(metric.better.forget if split in TO_FORGET else metric.better.retain)


def _exception(metric: Metric, block: Block, split: str = "forget") -> str:
    """Return which values of a metric are good, if they are others than usual."""
    good = _direction(metric, split)
    return "" if good == usual_direction(block, split) else good or "neither way is better"


def _cells(metrics: Mapping[str, Any], path: str) -> list[Cell]:
    return [measured(metrics, f"{model}.{path}") for model in MODELS]


def _difference(metrics: Mapping[str, Any], path: str) -> Cell:
    value, low, high = (look_up(metrics, f"{path}.{end}") for end in ("value", "low", "high"))
    if value is None:
        return Cell(ABSENT)
    bounds = f"{_signed(low)} to {_signed(high)}" if low is not None and high is not None else ""
    return Cell(_signed(value), bounds)


def _signed(value: float) -> str:
    return f"{value:+.2f}" if f"{abs(value):.2f}" != "0.00" else "0.00"


def _paths(block: Any, before: str = "") -> list[str]:
    if not isinstance(block, Mapping):
        return [before] if finite(block) is not None else []
    return [
        path
        for key, value in block.items()
        if key not in ("intervals", "counts")
        for path in _paths(value, f"{before}.{key}" if before else str(key))
    ]
