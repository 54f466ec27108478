"""The report as one HTML page that runs no script and loads nothing."""

from collections.abc import Mapping
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined

from viker.data.records import SPLITS
from viker.data.requests import REASONS
from viker.report import (
    answers,
    formatting,
    people,
    plot_results,
    plot_training,
    redact,
    rule_words,
    run_details,
    tables,
    tokens,
)
from viker.report.load import Inputs

HEAT_MAP = 10
"""How many answers are shown token by token."""
SECTIONS = (
    ("people", "People still given away"),
    ("results", "Before and after"),
    ("attacks", "Attacks"),
    ("risks", "What remains a risk"),
    ("gate", "The gate's rules"),
    ("request", "Who was to be forgotten"),
    ("answers", "Answers before and after"),
    ("metrics", "All metrics"),
    ("tokens", "Key tokens"),
    ("method", "Method and training"),
    ("lineage", "Lineage and how to reproduce"),
)
"""The id, which is also the name of the template, and the heading of each section."""


def render(
    params: Mapping[str, Any], inputs: Inputs, params_text: str, code: dict[str, str], versions: dict[str, str]
) -> str:
    """Return the page; with ``report.redact``, it holds no private value, no picture of a person and no ID.

    ``params`` are the values of params.yaml, ``params_text`` what the page shows of them; ``code`` the commit,
    ``versions`` those of packages.
    """
    hide, count = params["report"]["redact"], params["report"]["answers"]
    redactor = redact.Redactor(inputs.records.values(), hide)
    pseudonyms = redact.Pseudonyms(inputs.key, hide)
    verdict, pictures = tables.verdict(inputs.gate), None if hide else inputs.pictures
    registered = run_details.registration(inputs.registered, hide)
    page = _environment().get_template("report.html.j2")
    return page.render(
        **_numbers(inputs),
        **_run(params, inputs),
        **_tokens(params, inputs, redactor, pseudonyms),
        redact=hide,
        verdict=verdict,
        promotion=run_details.promotion(registered, verdict[0]),
        requests=run_details.requests(inputs, pseudonyms),
        people=[pseudonyms.person(person) for person in inputs.manifest.get("forget_ids") or []],
        manifest=inputs.manifest,
        answers=answers.answers(inputs.replies, inputs.records, pictures, count, redactor, pseudonyms),
        registered=registered,
        hashes=_hashes(inputs),
        code=code,
        versions=[(name.removeprefix("version."), version) for name, version in versions.items()],
        params_text=params_text,
    )


def _numbers(inputs: Inputs) -> dict[str, Any]:
    blocks = tables.attacks(inputs.metrics)
    names = list(dict.fromkeys(name for block in blocks.values() for name in block))
    return {
        "metrics": inputs.metrics,
        "gate": inputs.gate,
        "sentences": people.in_words(inputs.metrics),
        "people_leaked": people.people(inputs.metrics),
        "risks": people.risks(inputs.metrics),
        "rules": _rules(inputs.gate),
        "key_figures": run_details.key_figures(inputs.metrics),
        "frontier": plot_results.frontier(inputs.metrics, inputs.gate.get("rules") or [], inputs.earlier),
        "attacks": blocks,
        "attack_names": names,
        "attacked": plot_results.attacked(blocks, names),
    }


def _rules(gate: Mapping[str, Any]) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Return the rules and requirements, ``met`` and ``failed``, each in words and as the gate has it."""
    results = [*(gate.get("rules") or []), *(gate.get("require") or [])]
    told = [(rule_words.rule_in_words(result), result) for result in results]
    return {
        "met": [(words, result) for words, result in told if result.get("passed") is True],
        "failed": [(words, result) for words, result in told if result.get("passed") is not True],
    }


def _run(params: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    method, _ = run_details.method_of(params)
    parts, steps = plot_training.parts(list(inputs.losses), method.parts), inputs.losses["step"]
    return {
        "settings": run_details.settings(params, inputs),
        "curves": [(name, text, plot_training.curve(name, steps, inputs.losses[name])) for name, text in parts.items()],
        "training_fallbacks": tables.fallbacks(inputs.summary),
        "evaluation_fallbacks": tables.fallbacks(inputs.metrics),
    }


def _tokens(
    params: Mapping[str, Any], inputs: Inputs, redactor: redact.Redactor, pseudonyms: redact.Pseudonyms
) -> dict[str, Any]:
    mark = params["unlearn"]["key_token_mark"]
    threshold = params["unlearn"]["key_token_entropy"] if mark == "fixed" else None
    secrets = {record.id: record.secrets for (split, _), record in inputs.records.items() if split == "forget"}
    rows = inputs.key_tokens
    heat_map, top = tokens.heat_map(rows, HEAT_MAP, secrets, redactor, pseudonyms, params["report"]["redact"])
    with_probability = [row for row in rows if row["probability"] is not None]
    return {
        "heat_map": heat_map,
        "top": top,
        "threshold": threshold,
        "mark": mark,
        "key_count": sum(row["key"] for row in rows),
        "token_count": len(rows),
        "histogram": plot_training.histogram(inputs.entropy["entropy"], inputs.entropy["tokens"], threshold),
        "weights": plot_training.weights(
            [row["entropy"] for row in with_probability],
            [1 - row["probability"] for row in with_probability],
            [row["key"] for row in with_probability],
        ),
    }


def _hashes(inputs: Inputs) -> list[tuple[str, Any]]:
    measured, judged = inputs.metrics.get("inputs") or {}, inputs.gate
    return [
        ("adapter", measured.get("adapter")),
        ("vanilla model", measured.get("model")),
        ("prepared data, manifest", measured.get("data")),
        ("parameters of the evaluation", measured.get("params")),
        (f"protocol {inputs.metrics.get('protocol', '')}".strip(), measured.get("protocol")),
        ("replies", measured.get("predictions")),
        ("replies under attack", measured.get("attacks")),
        ("metrics, digest", inputs.metrics.get("digest")),
        ("verdict, digest", judged.get("digest")),
        ("policy", judged.get("policy_sha256")),
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("viker.report", "templates"),
        autoescape=True,  # replies, questions and names come from outside: nothing in them may become markup
        undefined=ChainableUndefined,
        finalize=lambda value: formatting.MISSING if value is None or isinstance(value, Undefined) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        absent=formatting.ABSENT,
        contents=SECTIONS,
        formatting=formatting,
        levels=tokens.LEVELS,
        models=tables.MODELS,
        private=redact.PRIVATE,
        reasons=REASONS,
        shared_by=redact.SHARED_BY,
        splits=SPLITS,
        tables=tables,
        unrecorded="not recorded",
        withheld=redact.WITHHELD,
    )
    return environment
