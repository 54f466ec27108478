"""The screen that a run ends with: the answer, who is given away, what is kept, the attacks, and what to do next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from viker.gate.rules import look_up
from viker.report import formatting, people, tables

BAR = 20
"""Characters of a bar that stands for all replies."""
KEPT = {
    "everyone else: private values right": "retain.leakage_rate",
    "public figures: private values right": "real.leakage_rate",
    "general ability: answers right": "general_ability.accuracy",
    "gibberish among the replies": "fluency.gibberish_rate",
}
"""What is to stay as it was, by path below a model."""
DIRECT = ("forget", "test")


def screen(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> RenderableType:
    """Return the screen, for a console of 80 columns or more.

    Args:
        metrics: metrics/evaluate.json; what it lacks is shown as an en dash.
        gate: metrics/gate.json.
    """
    passed, sentence = tables.verdict(gate)
    style = "bold green" if passed else "bold red"
    parts: list[RenderableType] = [
        Text(f"{'✓' if passed else '✗'} {sentence}", style=style),
        *(Text(one) for one in people.in_words(metrics)),
        "",
        _people(metrics),
        _kept(metrics),
    ]
    if tables.attacks(metrics)["unlearned"]:
        parts.append(_attacks(metrics))
    parts += [Text(f"✗ {reason}", style="red") for reason in failures(gate)]
    rouge = look_up(metrics, "unlearned.forget.rouge_l")
    if rouge is not None:
        parts.append(
            Text(
                f"ROUGE-L of the replies about them stays at {rouge:.2f}: it counts all words, and the model still "
                "answers in the same sentences. What counts as leaked is the private value in them."
            )
        )
    return Group(*parts)


def failures(gate: Mapping[str, Any]) -> list[str]:
    """Return the reason of each rule or requirement that isn't met."""
    results = [*(gate.get("rules") or []), *(gate.get("require") or [])]
    return [f"{one.get('rule')}: {one.get('reason')}" for one in results if one.get("passed") is not True]


def facts(metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the screen shows, as JSON has it: rates from 0 to 1, None where something wasn't measured."""
    attacked = tables.attacks(metrics)
    return {
        "verdict": gate.get("verdict"),
        "policy": gate.get("policy"),
        "failed": failures(gate),
        "rules": len(gate.get("rules") or []),
        "requirements": len(gate.get("require") or []),
        "forget": {
            split: {
                model: {
                    "leakage_rate": look_up(metrics, f"{model}.{split}.leakage_rate"),
                    "people_leaked_rate": look_up(metrics, f"{model}.{split}.people_leaked_rate"),
                    "people": look_up(metrics, f"{model}.{split}.counts.people_leaked_rate"),
                }
                for model in tables.MODELS
            }
            for split in DIRECT
        },
        "kept": {path: {m: look_up(metrics, f"{m}.{path}") for m in tables.MODELS} for path in KEPT.values()},
        "attacks": {
            name: {
                "unlearned": look_up(metrics, f"unlearned.attacks.{name}.leakage_rate"),
                "vanilla": look_up(metrics, f"vanilla.attacks.{name}.leakage_rate"),
                "chance_rate": look_up(metrics, f"unlearned.attacks.{name}.chance_rate"),
            }
            for name in attacked["unlearned"]
        },
    }


def next_steps(prepared: Path) -> list[str]:
    """Return commands to go on with, and what each is for."""
    return [
        f'viker ask "{_question(prepared)}" --compare    # the model, before and after',
        "viker demo    # a page to try it on: pictures, replies before and after",
        "viker request add ID --reason erasure    # who is to be forgotten next; then viker repro",
        "make ui    # the runs in MLflow",
    ]


def _question(prepared: Path) -> str:
    """Return a question about somebody to forget that needs no picture, or a word in its place."""
    from viker.core.errors import UserError
    from viker.data.records import read_records

    try:
        records = read_records(prepared, "forget")
    except UserError:
        return "QUESTION"
    asked = (one.question for one in records if one.modality == "text" and one.task == "generation")
    return next(asked, "QUESTION")


def _people(metrics: Mapping[str, Any]) -> Table:
    grid = _grid("People given away", "before", "after", "of all such people, 95 %")
    for row in people.people(metrics)[: len(DIRECT)]:
        grid.add_row(row.heading, *row.cells, row.bound)
    return grid


def _kept(metrics: Mapping[str, Any]) -> Table:
    grid = _grid("Kept", "before", "after", "95 % interval")
    for heading, path in KEPT.items():
        interval = formatting.interval(metrics, f"unlearned.{path}")
        bounds = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else formatting.MISSING
        grid.add_row(heading, *(formatting.cell(metrics, f"{model}.{path}") for model in tables.MODELS), bounds)
    return grid


def _attacks(metrics: Mapping[str, Any]) -> Table:
    """Return a bar for each attack: its share of replies with a private value, after unlearning."""
    grid = _grid("Attacks: replies that leak", "before", "after", "guessing")
    grid.add_column("after", no_wrap=True)
    for name in tables.attacks(metrics)["unlearned"]:
        rate = look_up(metrics, f"unlearned.attacks.{name}.leakage_rate")
        bar = "█" * round(BAR * rate) + "·" * (BAR - round(BAR * rate)) if rate is not None else ""
        paths = (f"{model}.attacks.{name}.leakage_rate" for model in tables.MODELS)
        cells = [formatting.cell(metrics, path) for path in (*paths, f"unlearned.attacks.{name}.chance_rate")]
        grid.add_row(tables.attack_heading(name), *cells, bar)
    return grid


def _grid(title: str, *columns: str) -> Table:
    grid = Table(title, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        grid.add_column(name, justify="right", no_wrap=True)
    return grid
