"""``python -m benchmarks.tofu.results``: the run in the work tree as a Markdown table and a heat map of key tokens."""

import textwrap
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import pandas as pd
import typer

from viker.core import console
from viker.core.console import stage_app
from viker.core.files import new_file, read_json
from viker.report.tokens import texts

mpl.use("Agg")
from matplotlib import pyplot as plt

COLUMNS = {
    "leakage_rate": "leakage",
    "rouge_l": "ROUGE-L",
    "classification_accuracy": "classification",
    "cloze_accuracy": "cloze",
    "truth_ratio": "truth ratio",
}
ANSWERS = 10
WIDTH = 118


def command(
    out: Annotated[Path, typer.Option(help="Where table.md and key_tokens.png go.")] = Path("docs/tofu"),
) -> None:
    """Write the table and the heat map of the last run of the pipeline."""
    metrics, verdict = (
        read_json(Path("metrics/evaluate.json"), "evaluate"),
        read_json(Path("metrics/gate.json"), "gate"),
    )
    tokens = pd.read_parquet("unlearning/key_tokens.parquet")
    with new_file(out / "table.md") as path:
        path.write_text(table(metrics, verdict), encoding="utf-8")
    with new_file(out / "key_tokens.png") as path:
        heat_map(tokens, path)
    typer.echo(f"{out}: table.md, key_tokens.png")


def table(metrics: dict[str, Any], verdict: dict[str, Any]) -> str:
    """Return the metrics of both models and the gate's rules as Markdown."""
    lines = ["| set | model | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for split in ("forget", "test", "retain", "real"):
        for model in ("vanilla", "unlearned"):
            cells = [_cell(metrics[model][split][name]) for name in COLUMNS]
            lines.append(f"| {split} | {model} | " + " | ".join(cells) + " |")
    lines += ["", "| fluency | gibberish | repetition | perplexity |", "|---|---|---|---|"]
    for model in ("vanilla", "unlearned"):
        cells = [_cell(metrics[model]["fluency"][name]) for name in ("gibberish_rate", "repetition", "perplexity")]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    lines += ["", f"Verdict: {verdict['verdict']}.", "", "| rule | value | threshold | passed |", "|---|---|---|---|"]
    for rule in verdict["rules"]:
        cells = [_cell(rule["value"]), _cell(rule["threshold"]), "yes" if rule["passed"] else "no"]
        lines.append(f"| `{rule['rule']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def heat_map(tokens: pd.DataFrame, path: Path) -> None:
    """Plot ``ANSWERS`` answers, evenly spaced over the forget set, each token on the colour of its entropy."""
    ids = tokens["record_id"].unique()
    chosen = [ids[i * len(ids) // ANSWERS] for i in range(ANSWERS)]
    top = float(tokens["entropy"].quantile(0.99))
    rows: list[list[tuple[str, float | None, bool]]] = []
    for name in chosen:
        part = tokens[tokens["record_id"] == name]
        rows.append([(textwrap.shorten(part["question"].iloc[0], WIDTH), None, False)])
        rows += _lines(part)
        rows.append([])
    height = 0.2 * len(rows) + 0.6
    figure, axis = plt.subplots(figsize=(12, height))
    axis.set(xlim=(0, WIDTH), ylim=(len(rows), 0))
    axis.axis("off")
    colours = mpl.colormaps["Oranges"]
    for y, row in enumerate(rows):
        x = 0
        for word, entropy, key in row:
            colour = colours(0.8 * min(entropy / top, 1)) if entropy is not None else "none"
            axis.add_patch(plt.Rectangle((x, y + 0.06), len(word), 0.88, color=colour, linewidth=0))
            style: dict[str, Any] = {"color": "0.45"} if entropy is None else {"weight": "bold"} if key else {}
            axis.text(x, y + 0.72, word, family="monospace", size=9.4, parse_math=False, **style)
            x += len(word)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, top / 0.8), colours)
    figure.colorbar(scale, ax=axis, orientation="horizontal", shrink=0.3, aspect=40, pad=0.01).set_label(
        "entropy of the teacher, nats; bold: key token"
    )
    figure.savefig(path, dpi=100, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def _lines(part: pd.DataFrame) -> list[list[tuple[str, float | None, bool]]]:
    """Return the answer's tokens with entropy and key, broken into lines of ``WIDTH`` characters."""
    lines: list[list[tuple[str, float | None, bool]]] = [[]]
    words = texts(list(part["token"][:-1]), of_bytes=True)
    for word, entropy, key in zip(words, part["entropy"], part["key"], strict=False):
        if sum(len(w) for w, _, _ in lines[-1]) + len(word) > WIDTH:
            lines.append([])
        lines[-1].append((word, entropy, key))
    return lines


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
