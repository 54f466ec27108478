"""The rows of the metrics' tables: what is shown, in which order, and how a number is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viker.gate.rules import look_up

MODELS = ("vanilla", "unlearned")
MISSING = "–"
ABSENT = "not measured"
MEASURES = (
    ("leakage_rate", "Leakage"),
    ("rouge_l", "ROUGE-L"),
    ("classification_accuracy", "Classification"),
    ("cloze_accuracy", "Cloze"),
)
"""Key in metrics/evaluate.json and heading of the measures of a split."""
SPLIT = (
    ("leakage_rate", "Leakage"),
    ("fuzzy_leakage_rate", "Leakage, fuzzy"),
    ("people_leaked_rate", "People leaked"),
    ("rouge_l", "ROUGE-L"),
    ("rouge_l_recall", "ROUGE-L recall"),
    ("rouge_1", "ROUGE-1"),
    ("rouge_2", "ROUGE-2"),
    ("bleu", "BLEU"),
    ("classification_accuracy", "Classification"),
    ("cloze_accuracy", "Cloze"),
    ("truth_ratio", "Truth ratio"),
    ("probability", "Probability"),
    ("extraction_strength", "Extraction strength"),
    ("refusal_rate", "Refusals"),
    ("gibberish_rate", "Gibberish"),
)
TEXT_ONLY = (
    ("leakage_rate", "Leakage"),
    ("fuzzy_leakage_rate", "Leakage, fuzzy"),
    ("rouge_l", "ROUGE-L"),
    ("classification_accuracy", "Classification"),
    ("cloze_accuracy", "Cloze"),
)
FLUENCY = (("gibberish_rate", "Gibberish"), ("repetition", "Repetition"), ("perplexity", "Perplexity"))
FLUENT = (*FLUENCY, ("distinct_2", "Distinct pairs of words"))
MEMBERSHIP = (
    ("loss_auc", "Loss"),
    ("min_k_auc", "Min-K"),
    ("min_k_plus_plus_auc", "Min-K++"),
    ("zlib_auc", "Loss against zlib's length"),
)
WHOLE = (("forget_quality", "Forget quality, p-value"), ("kl_to_retrained", "KL to the retrained model, nats a token"))
MEANING = {
    "forget": "the pictures and questions to forget",
    "test": "the same people, other pictures and wordings",
    "retain": "everyone else",
    "real": "public figures",
}


@dataclass(frozen=True)
class Cell:
    """A number as text, and its interval as text or ""."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """A measure: its heading, a cell a model, the paired difference, and from how many replies ("" if unknown)."""

    heading: str
    cells: list[Cell]
    difference: Cell
    count: str


def cell(metrics: Mapping[str, Any], path: str, digits: int = 2) -> str:
    """Return the number at a dotted path with ``digits`` decimals; an en dash where there is none."""
    return number(look_up(metrics, path), digits)


def number(value: float | None, digits: int = 2) -> str:
    """Return ``value`` with ``digits`` decimals, from 1,000 on with three figures; an en dash for None."""
    if value is None:
        return MISSING
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"


def figure(value: Any) -> str:
    """Return a rule's value or threshold with four figures, so that it is not rounded onto the other."""
    known = look_up({"value": value}, "value")
    return MISSING if known is None else f"{known:.4g}"


def interval(metrics: Mapping[str, Any], path: str) -> tuple[float, float] | None:
    """Return the 95 % interval of the metric at ``path``, which lies beside it under ``intervals``; None without."""
    group, _, name = path.rpartition(".")
    found: Any = metrics
    for part in (*group.split("."), "intervals", name):
        found = found.get(part) if isinstance(found, Mapping) else None
    ends = [look_up({"end": end}, "end") for end in found] if isinstance(found, list) else []
    return (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None


def measured(metrics: Mapping[str, Any], path: str) -> Cell:
    """Return the number at a dotted path with its interval; "not measured" where there is none."""
    value, bounds = look_up(metrics, path), interval(metrics, path)
    if value is None:
        return Cell(ABSENT)
    return Cell(number(value), _range(*bounds) if bounds else "")


def split_rows(metrics: Mapping[str, Any], split: str, under: str = "") -> list[Row]:
    """Return a row for each measure of a split; ``under``: "text_only." for the questions without a picture."""
    return [
        Row(
            heading,
            [measured(metrics, f"{model}.{split}.{under}{key}") for model in MODELS],
            _difference(metrics, f"differences.{split}.{under}{key}"),
            cell(metrics, f"unlearned.{split}.{under}counts.{key}", 0).replace(MISSING, ""),
        )
        for key, heading in (TEXT_ONLY if under else SPLIT)
    ]


def rows(metrics: Mapping[str, Any], group: str, measures: tuple[tuple[str, str], ...]) -> list[Row]:
    """Return a row for each measure of a group that both models have, such as fluency."""
    return [
        Row(heading, [measured(metrics, f"{model}.{group}.{key}") for model in MODELS], Cell(""), "")
        for key, heading in measures
    ]


def nested(metrics: Mapping[str, Any], group: str) -> list[Row]:
    """Return a row for each number that either model has anywhere below a group, under its path."""
    paths = dict.fromkeys(path for model in MODELS for path in _paths((metrics.get(model) or {}).get(group)))
    return rows(metrics, group, tuple((path, words(path.replace(".", ": "))) for path in paths))


def attacks(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return for each model the block of each attack; what is no block is left out."""
    blocks = {model: (metrics.get(model) or {}).get("attacks") or {} for model in MODELS}
    return {
        model: {name: block for name, block in found.items() if isinstance(block, Mapping)}
        for model, found in blocks.items()
    }


def words(name: str) -> str:
    """Return a name of the metrics as words."""
    return name.replace("_", " ")


def verdict(gate: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether the gate passed, and the sentence that says so with the number of its rules."""
    found = [*(gate.get("rules") or []), *(gate.get("require") or [])]
    met = sum(rule.get("passed") is True for rule in found)
    if gate.get("verdict") == "pass" and gate.get("rules") and met == len(found):
        return True, f"Passed: all {met} rules of the gate are met; the adapter may be promoted."
    return False, f"Failed: {met} of {len(found)} rules of the gate are met; the adapter must not be promoted."


def _difference(metrics: Mapping[str, Any], path: str) -> Cell:
    value, low, high = (look_up(metrics, f"{path}.{end}") for end in ("value", "low", "high"))
    if value is None:
        return Cell(ABSENT)
    bounds = f"{_signed(low)} to {_signed(high)}" if low is not None and high is not None else ""
    return Cell(_signed(value), bounds)


def _signed(value: float) -> str:
    return f"{value:+.2f}" if f"{abs(value):.2f}" != "0.00" else "0.00"


def _range(low: float, high: float) -> str:
    return f"{number(low)}{' to ' if low < 0 else '–'}{number(high)}"


def _paths(found: Any, before: str = "") -> list[str]:
    if not isinstance(found, Mapping):
        return [before] if look_up({"value": found}, "value") is not None else []
    return [
        path
        for key, value in found.items()
        if key not in ("intervals", "counts")
        for path in _paths(value, f"{before}.{key}" if before else str(key))
    ]
