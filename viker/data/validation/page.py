"""The validation as one page that runs no script and loads nothing, in the style of the report."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from viker.data.validation.expectations import REMEDIES

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2430; --soft: #566173; --line: #d5dae1; --accent: #0b6b66;
  --good: #0d5f35; --good-page: #e3f4ea; --bad: #9b1c31; --bad-page: #fde8ea; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --ink: #e6eaef; --soft: #a3adb8; --line: #38414b;
  --accent: #5cc9c1; --good: #7ee2a0; --good-page: #12351f; --bad: #ffa6a6; --bad-page: #4a1519; } }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 56rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 2rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .8rem; padding-top: .8rem; border-top: 2px solid var(--ink); font-size: 1.35rem; }
.verdict { padding: .7rem 1rem; border-left: .4rem solid; font-size: 1.15rem; font-weight: 600; }
.good { color: var(--good); background: var(--good-page); } .bad { color: var(--bad); background: var(--bad-page); }
table { width: 100%; border-collapse: collapse; } a { color: var(--accent); } .soft { color: var(--soft); }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85em; }
"""


def page(outcomes: Sequence[Mapping[str, Any]], counts: Mapping[str, int], data_docs: bool) -> str:
    """Return the page on what Great Expectations found; it quotes no value of the data.

    Args:
        outcomes: as in summary.json: split, name, column, success, observed (of numbers), unexpected (rows).
        counts: rows that were checked, by split.
        data_docs: whether Great Expectations' own pages lie in the folder data_docs.
    """
    failed = sum(not one["success"] for one in outcomes)
    verdict = f"{failed} of {len(outcomes)} expectations failed" if failed else f"All {len(outcomes)} expectations hold"
    sections = [
        f"<h2>{escape(name)}</h2><p class=soft>{rows} rows</p><table><thead><tr><th>expectation<th>result<th>what was "
        f"found<tbody>{''.join(_row(one) for one in outcomes if one['split'] == name)}</table>"
        for name, rows in counts.items()
    ]
    more = '<p><a href="data_docs/index.html">Great Expectations\' Data Docs</a></p>' if data_docs else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Validation of the data</title><style>{STYLE}</style><h1>Validation of the data</h1>"
        f'<p class="verdict {"bad" if failed else "good"}">{verdict}</p>{more}{"".join(sections)}</html>\n'
    )


def _row(one: Mapping[str, Any]) -> str:
    found = f"{one['unexpected']} rows" if one["unexpected"] else str(one["observed"] or "")
    remedy = REMEDIES.get(str(one["column"]), "") if not one["success"] else ""
    result = '<td class="good">holds' if one["success"] else '<td class="bad">fails'
    return f"<tr><td><code>{escape(one['name'])}</code>{result}<td>{escape(found)} {escape(remedy)}"
