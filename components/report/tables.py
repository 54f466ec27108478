"""The rows of the metrics' tables: what is shown, in which order, and how a number is written."""

from collections.abc import Mapping
from typing import Any

from components.common.records import SPLITS
from components.common.rules import look_up

MODELS = ("vanilla", "unlearned")
MISSING = "–"
MEASURES = (
    ("leakage_rate", "Leakage"),
    ("rouge_l", "ROUGE-L"),
    ("classification_accuracy", "Classification"),
    ("cloze_accuracy", "Cloze"),
)
"""Key in metrics/evaluate.json and heading of the measures of a split."""
FLUENCY = (("gibberish_rate", "Gibberish"), ("repetition", "Repetition"), ("perplexity", "Perplexity"))
MEANING = {
    "forget": "the pictures and questions to forget",
    "test": "the same people, other pictures and wordings",
    "retain": "everyone else",
    "real": "public figures",
}


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


def split_rows(metrics: Mapping[str, Any], under: str = "") -> list[tuple[str, list[str]]]:
    """Return a row for each measure: its heading, and cells for vanilla and unlearned of each split in turn.

    Args:
        metrics: metrics/evaluate.json.
        under: "" for questions with a picture, "text_only." for those without.
    """
    return [
        (heading, [cell(metrics, f"{model}.{split}.{under}{key}") for split in SPLITS for model in MODELS])
        for key, heading in MEASURES
    ]


def fluency_rows(metrics: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return a row for each measure of fluency: its heading, and cells for vanilla and unlearned."""
    return [(heading, [cell(metrics, f"{model}.fluency.{key}") for model in MODELS]) for key, heading in FLUENCY]


def verdict(gate: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether the gate passed, and the sentence that says so with the number of its rules."""
    rules = gate.get("rules") or []
    met = sum(rule.get("passed") is True for rule in rules)
    if gate.get("verdict") == "pass" and rules and met == len(rules):
        return True, f"Passed: all {met} rules of the gate are met; the adapter may be promoted."
    return False, f"Failed: {met} of {len(rules)} rules of the gate are met; the adapter must not be promoted."
