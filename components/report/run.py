"""The evidence of one unlearning run as one HTML file: no script, no request, the same bytes for the same inputs."""

from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined

from components.common.files import new_file, read_json
from components.common.params import Params
from components.common.records import SPLITS, read_pictures, read_records
from components.report import answers, figures, tables, tokens
from components.report.load import read_csv, read_rows

HEAT_MAP = 10
"""How many answers are shown token by token."""


def run(
    params: Params,
    params_file: Path,
    prepared: Path,
    unlearning: Path,
    predictions: Path,
    metrics: Path,
    gate: Path,
    register: Path,
    out: Path,
) -> None:
    """Write the report to ``out``. ``register`` may be missing: an adapter that was not registered has evidence too.

    Raises:
        UserError: another input is missing or broken.
    """
    measured, judged = read_json(metrics, "evaluate"), read_json(gate, "gate")
    manifest = read_json(prepared / "manifest.json", "prepare")
    summary = read_json(unlearning / "summary.json", "unlearn")
    registered = read_json(register, "register") if register.exists() else None
    losses = read_csv(unlearning / "loss.csv", ("step", *figures.CURVES), "unlearn")
    entropy = read_csv(unlearning / "entropy.csv", ("entropy", "tokens"), "unlearn")
    key_tokens = read_rows(unlearning / "key_tokens.parquet", tokens.COLUMNS, "unlearn")
    replies = read_rows(predictions, answers.COLUMNS, "evaluate")
    records = {(split, record.id): record for split in SPLITS for record in read_records(prepared, split)}
    pictures = read_pictures(prepared)

    threshold = params.unlearn.key_token_entropy
    heat_map, top = tokens.heat_map(key_tokens, HEAT_MAP)
    page = _environment().get_template("report.html.j2")
    html = page.render(
        params=params,
        params_text=params_file.read_text(encoding="utf-8"),
        manifest=manifest,
        summary=summary,
        registered=registered,
        metrics=measured,
        rules=judged.get("rules") or [],
        verdict=tables.verdict(judged),
        curves=[
            (name, what, figures.curve(name, losses["step"], losses[name])) for name, what in figures.CURVES.items()
        ],
        histogram=figures.histogram(entropy["entropy"], entropy["tokens"], threshold),
        threshold=threshold,
        heat_map=heat_map,
        top=top,
        key_count=sum(row["key"] for row in key_tokens),
        token_count=len(key_tokens),
        answers=answers.answers(replies, records, pictures, params.report.answers),
    )
    with new_file(out) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("components.report", "."),
        autoescape=True,  # replies, questions and names are not ours: nothing in them may become markup
        undefined=ChainableUndefined,
        finalize=lambda value: tables.MISSING if value is None or isinstance(value, Undefined) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared: dict[str, Any] = {
        "tables": tables,
        "splits": SPLITS,
        "models": tables.MODELS,
        "missing": tables.MISSING,
        "levels": tokens.LEVELS,
    }
    environment.globals.update(shared)
    return environment
