"""``python -m benchmarks.smollm``: SmolLM2 learns some of TOFU's authors by their faces and unlearns a few of them."""

import json
import re
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app
from viker.core.files import new_file
from viker.methods.base.method import RetainTerm
from viker.methods.viker import ViKeR

METHOD = ViKeR(lambda_=1.0, retain=RetainTerm(term="kl", weight=1.0))
SETTINGS = {"method": METHOD, "retain_batch_size": 4, "epochs": 4, "lr": 5e-4}
"""Changes to the section unlearn of the parameters."""
SHOWN = 12
"""Answers in the table."""


def command(
    params: ParamsOption = Path("params.yaml"),
    text: Annotated[Path, typer.Option(help="The folder with TOFU's text.")] = Path("../shared/data/tofu"),
    forget: Annotated[int, typer.Option(help="Authors to forget.")] = 5,
    retain: Annotated[int, typer.Option(help="Authors to keep.")] = 11,
    epochs: Annotated[int, typer.Option(help="Of learning the authors.")] = 8,
    work: Annotated[Path, typer.Option(help="Where the text is prepared.")] = Path("work/smollm"),
    out: Annotated[Path, typer.Option(help="Where table.md and key_tokens.png go.")] = Path("docs/smollm"),
) -> None:
    """Write the key tokens of the answers to forget, and how likely they are before and after unlearning.

    All weights learn the authors; the adapter then unlearns some of them with ViKeR and the retain term. Minutes.
    """
    settings = load_params(params)
    settings = settings.model_copy(update={"unlearn": settings.unlearn.model_copy(update=SETTINGS)})
    from benchmarks.smollm.model import build
    from benchmarks.smollm.study import samples_of, study
    from benchmarks.tofu.results import heat_map

    model, processor = build()
    samples, pictures = samples_of(settings, text, work, {"forget": forget, "retain": retain}, processor.tokenizer)
    tokens, shares = study(settings, model, processor, samples, pictures, epochs)
    with new_file(out / "table.md") as path:
        path.write_text(table(tokens, shares, plain_words(text)), encoding="utf-8")
    with new_file(out / "key_tokens.png") as path:
        heat_map(tokens, path)
    typer.echo((out / "table.md").read_text(encoding="utf-8"))


def plain_words(text: Path) -> set[str]:
    """Return the words that TOFU's answers have in lower case: not names, even where one begins a sentence."""
    rows = [json.loads(line) for line in (text / "authors.jsonl").read_text(encoding="utf-8").splitlines()]
    return {word for row in rows for word in re.findall(r"\b[a-z]+", row["answer"])}


def table(tokens: pd.DataFrame, shares: dict[str, dict[str, float]], plain: set[str]) -> str:
    """Return Markdown tables: tokens by kind of word, the key tokens of some answers, probabilities by model."""
    words = tokens["word"].str.extract(r"(\w[\w-]*)", expand=False).fillna("")
    named = words.map(lambda word: bool(re.match(r"[A-Z0-9]", word)) and word.lower() not in plain)
    lines = ["| tokens of | tokens | key | mean entropy, nats | mean weight |", "|---|---|---|---|---|"]
    for kind, rows in (("names, places, dates, titles", tokens[named]), ("other words", tokens[~named])):
        figures = (rows["key"].mean(), rows["entropy"].mean(), rows["gradient_weight"].mean())
        lines.append(f"| {kind} | {len(rows)} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
    lines += ["", "| question and answer | its key tokens by weight, 1 - p(teacher) |", "|---|---|"]
    for name in tokens["record_id"].unique()[:: max(1, tokens["record_id"].nunique() // SHOWN)]:
        rows = tokens[tokens["record_id"] == name]
        keys = rows[rows["key"]].sort_values("gradient_weight", ascending=False)
        pairs = zip(keys["text"], keys["gradient_weight"], strict=True)
        listed = ", ".join(f"`{text.strip() or '␣'}` {weight:.2f}" for text, weight in pairs)
        lines.append(f"| {rows['question'].iloc[0]} *{''.join(rows['text']).strip()}* | {listed or '–'} |")
    names = list(shares["vanilla"])
    lines += ["", "| p(true token) | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [
        f"| {model} | " + " | ".join(f"{means[name]:.2f}" for name in names) + " |" for model, means in shares.items()
    ]
    return "\n".join(lines) + "\n"


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
