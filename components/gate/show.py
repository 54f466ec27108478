"""The verdict as text on a console."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from viker.gate.power import Power


def show(verdict: Mapping[str, Any], console: Console) -> None:
    """Print a line per requirement and rule, the verdict, and for each failure the reason and what it protects from."""
    console.print(_table("Required", verdict["require"]))
    console.print(_table("Rules", verdict["rules"]))
    results = [*verdict["require"], *verdict["rules"]]
    failed = [result for result in results if not result["passed"]]
    passed = verdict["verdict"] == "pass"
    policy = f"policy {verdict['policy']}" if verdict["policy"] else "rules of params.yaml"
    count = f"{len(results) - len(failed)} of {len(results)} met, {policy}"
    console.print(Text.assemble((f"gate: {verdict['verdict']}", "bold green" if passed else "bold red"), f" ({count})"))
    if error := verdict.get("error"):
        console.print(Text(error["text"], "dim"), soft_wrap=True)
    for result in failed:
        console.print(Text.assemble(("✗ ", "red"), result["reason"]), soft_wrap=True)
        console.print(Text(f"  Protects from: {result['protects']}", "dim"), soft_wrap=True)


def show_power(rules: Sequence[Power], console: Console) -> None:
    """Print for each rule on a rate what the data could show at best, and how many people its limits take."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Rule", overflow="fold")
    for heading in ("people", "at best", "needed\nfor rule", "needed\nfor bound"):
        table.add_column(heading, justify="right")
    for one in rules:
        best = "–" if one.best is None else f"≤ {100 * one.best:.0f} %"
        counts = ("–" if count is None else str(count) for count in (one.for_rule, one.for_bound))
        table.add_row(one.rule, str(one.people), best, *counts)
    console.print(table)
    console.print(Text("At best: the 95 % bound of a rate of which nobody shows a case, 1 - 0.05^(1/people).", "dim"))
    console.print(Text("Needed: so many people without a case show the rule's limit, or the policy's bound.", "dim"))


def _table(title: str, results: Sequence[Mapping[str, Any]]) -> Table:
    numbers = any(result["value"] is not None or result["threshold"] is not None for result in results)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(title, overflow="fold")
    if numbers:
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("threshold", justify="right", no_wrap=True)
    for result in results:
        mark = Text("✓", "green") if result["passed"] else Text("✗", "bold red")
        value = _number(result["value"]) if result["metric"] else ""
        threshold = f"{result['operator']} {_number(result['threshold'])}" if result["operator"] else ""
        cells = [value, threshold] if numbers else []
        text = Text(result["rule"], "" if result["passed"] else "red")
        if result.get("shown"):
            text.append(f"\n{result['shown']}", "dim")
        if result.get("empty"):
            text.append("\nshows nothing: the vanilla model meets it too", "dim")
        table.add_row(mark, text, *cells)
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
