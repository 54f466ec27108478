"""Puts tables made from the code's declarations into the site: a line ``<!-- table: NAME -->`` becomes that table."""

import inspect
import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from viker.attacks.base.attack import load_attacks
from viker.data.formats.base.format import formats
from viker.data.protocols import ASKED, Examples, Protocol, load_protocol, shipped_protocols
from viker.gate.policies import Policy, policy_path, read_policy, shipped_policies
from viker.methods.base.method import methods
from viker.metrics.base.catalogue import all_metrics
from viker.metrics.base.metric import Metric, direction

PLACEHOLDER = re.compile(r"^<!-- table: (.+?) -->.*$", re.MULTILINE)
"""What follows the comment on its line is for readers of the source; the table takes its place too."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholders of a page; mkdocs calls this for each page.

    Raises:
        KeyError: there is no table of that name.
    """
    return PLACEHOLDER.sub(lambda match: TABLES[match[1]](), markdown)


WHERE = {
    "split": "each split",
    "fluency": "`fluency`",
    "membership": "`membership`",
    "clear": "`clear`",
    "umu": "`umu`",
    "run": "top level",
}
"""What the table calls each block of metrics/evaluate.json."""


def metrics_table() -> str:
    """Return a table with one row per metric."""
    head = ("metric", "where", "what it is", "range", "good on forget, test", "good on retain, real", "source")
    return _table(head, map(_metric_row, all_metrics()))


def methods_table() -> str:
    """Return a table with one row per method."""
    rows = [
        (f"`{name}`", _about(method.loss), _formula(method.loss), method.source) for name, method in methods().items()
    ]
    return _table(("method", "what it does", "loss", "source"), rows)


def attacks_table() -> str:
    """Return a table with one row per attack."""
    rows = [
        (f"`{name}`", attack.heading, _code(_paragraph(_unwrapped(attack.run))), _about(attack.run))
        for name, attack in load_attacks().items()
    ]
    return _table(("attack", "heading in the report", "how", "idea"), rows)


def formats_table() -> str:
    """Return a table with one row per data format."""
    rows = [
        (
            f"`{name}`",
            _about(one.load),
            ", ".join(f"`hf://{at}`" for at in one.hub) or "–",
            one.source or "this project",
        )
        for name, one in formats().items()
    ]
    return _table(("format", "what it is", "on the hub", "source"), rows)


def policies_table() -> str:
    """Return a table with one row per shipped policy."""
    return _table(("policy", "for"), [(f"`{name}`", _shipped(name).about) for name in shipped_policies()])


def policy_table(name: str) -> str:
    """Return a table with one row per rule of a shipped policy."""
    policy = _shipped(name)
    rules = [(f"`{one.rule}`" + (f", where `{one.when}`" if one.when else ""), one.protects) for one in policy.rules]
    required = [(f"`{one.metric}`, required", one.protects) for one in policy.require]
    return _table(("rule", "protects from"), [(rule, _clause(protects)) for rule, protects in [*rules, *required]])


def protocols_table() -> str:
    """Return a table with one row per shipped protocol."""
    rows = []
    for name in shipped_protocols():
        one = load_protocol(name)
        shown = [
            f"{task}: {_examples(getattr(one, task).examples)}"
            for task in ("classification", "cloze")
            if getattr(one, task).examples.people
        ]
        rows.append((f"`{name}`", one.about, "; ".join(shown) or "none", _lengths(one)))
    return _table(("protocol", "whose", "examples shown first", "tokens of a reply"), rows)


def _examples(examples: Examples) -> str:
    questions = "all questions" if examples.questions is None else f"{examples.questions} question"
    return f"{questions} about {examples.people} {'person' if examples.people == 1 else 'people'}"


def _lengths(protocol: Protocol) -> str:
    return ", ".join(dict.fromkeys(str(protocol.longest(task)) for task in ASKED))


TABLES: dict[str, Callable[[], str]] = {
    "protocols": protocols_table,
    "metrics": metrics_table,
    "methods": methods_table,
    "attacks": attacks_table,
    "formats": formats_table,
    "policies": policies_table,
    **{f"policy {name}": partial(policy_table, name) for name in shipped_policies()},
}


def _shipped(name: str) -> Policy:
    return read_policy(policy_path(name))


def _metric_row(metric: Metric) -> tuple[str, ...]:
    good = (direction(side).removesuffix(" is better") or "–" for side in (metric.better.forget, metric.better.retain))
    where = ", ".join(WHERE[block] for block in metric.blocks)
    return (f"`{metric.name}`", where, metric.meaning, _range(metric), *good, metric.source)


def _range(metric: Metric) -> str:
    low, high = metric.range
    return f"{low:g} to {high:g}, {metric.unit}" if math.isfinite(high) else f"from {low:g}, {metric.unit}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, cells))} |" for cells in lines)


def _escaped(cell: str) -> str:
    """Return the cell without what would end it or be taken for HTML."""
    return re.sub(r"<(?=\w)", "&lt;", cell.replace("|", "&#124;"))


def _about(function: Any) -> str:
    """Return the first paragraph of the docstring of the module that declares a plug-in, without its title."""
    title, _, text = _paragraph(inspect.getmodule(_unwrapped(function))).partition(": ")
    return text[:1].upper() + text[1:] if text else title


def _formula(loss: Any) -> str:
    """Return what the first paragraph of the docstring says that the loss is."""
    return _code(_paragraph(loss).partition("``loss`` = ")[2])


def _code(text: str) -> str:
    return re.sub(r"``(?:settings\.)?(.+?)``", r"`\1`", text)


def _unwrapped(function: Any) -> Any:
    return function.func if isinstance(function, partial) else function


def _paragraph(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].removesuffix(".")
