"""The certificate: a page for the person who asked to be forgotten, in their language, without a private value."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from viker.data.requests import ForgetRequest
from viker.gate.rules import finite, look_up, parse_rule, value_of
from viker.report import tables

Language = Literal["en", "de", "fr", "es"]
DATES = {"en": "{0.day} {1} {0.year}", "de": "{0.day}. {1} {0.year}", "fr": "{0.day} {1} {0.year}"}
DATES["es"] = "{0.day} de {1} de {0.year}"
LEAKAGE = "unlearned.forget.leakage_rate"


def certificate(
    language: Language,
    request: ForgetRequest,
    version: Mapping[str, str],
    metrics: Mapping[str, Any],
    gate: Mapping[str, Any],
    receipt: Mapping[str, Any] | None,
    salt: str | None,
) -> str:
    """Return the page as HTML that loads nothing.

    Args:
        language: of the page.
        request: which is carried out.
        version: tags of the version of the model that carries it out.
        metrics: of that version, as ``metrics/evaluate.json``.
        gate: its verdict, as ``metrics/gate.json``.
        receipt: of the purge; None where the data was not purged.
        salt: of the request's hashes in the receipt, for the person alone; None without a receipt.
    """
    environment = Environment(
        loader=PackageLoader("viker.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader = environment.loader
    assert loader is not None  # noqa: S101 - for mypy
    source = loader.get_source(environment, f"certificate.{language}.yaml")[0]
    texts = YAML(typ="safe", pure=True).load(source)

    def day(value: date) -> str:
        return DATES[language].format(value, texts["months"][value.month - 1])

    def percent(share: float | None) -> str:
        text = "–" if share is None else f"{100 * share:.1f} %"
        return text if language == "en" else text.replace(".", ",")

    carried_out = request.carried_out
    attacks = tables.attacks(metrics).get("unlearned", {})
    values = {
        "id": request.id,
        "received": day(request.date),
        "due": day(request.deadline),
        "done": day(carried_out.date) if carried_out else "–",
        "version": carried_out.version if carried_out else "–",
        "questions": int(look_up(metrics, "unlearned.forget.counts.leakage_rate") or 0),
        "before": percent(look_up(metrics, "vanilla.forget.leakage_rate")),
        "after": percent(look_up(metrics, LEAKAGE)),
        "bound": percent(upper_bound(metrics)),
        "attacks": len(attacks),
        "strongest": percent(max((finite(a.get("above_chance")) or 0 for a in attacks.values()), default=None)),
        "purged": day(date.fromisoformat(str(receipt["at"])[:10])) if receipt else "",
        "removed": sum(how == "removed" for how in receipt["done"].values()) if receipt else 0,
        "rewritten": sum(how == "rewritten" for how in receipt["done"].values()) if receipt else 0,
        "searched": receipt["searched"]["files"] if receipt else 0,
    }
    lines = {name: [text.format(**values) for text in part] for name, part in texts["sections"].items()}
    own: Mapping[str, Any] = (
        next((one for one in receipt["requests"] if one["id"] == request.id), {}) if receipt else {}
    )
    digests = {"adapter": version.get("adapter_sha256"), "gate": gate.get("digest")}
    digests |= {"receipt": receipt["digest"], "salt": salt} if receipt else {}
    hashes = [(texts["hashes"][name], value) for name, value in digests.items() if value]
    hashes += [(texts["hashes"]["person"], one) for one in own.get("people", ())]
    return environment.get_template("certificate.html.j2").render(
        language=language,
        texts=texts,
        lines=lines,
        rows=[(texts["rows"][name], values[name]) for name in ("id", "received", "due", "done", "version")],
        purged=receipt is not None,
        passed=gate.get("verdict") == "pass",
        guard_set=own.get("guard_set") is not None,
        hashes=hashes,
    )


def upper_bound(metrics: Mapping[str, Any]) -> float | None:
    """Return the upper end of the 95 % interval of the leakage; where nothing leaked, 1 - 0.05^(1/n) of n questions.

    Source of the latter: the exact one-sided bound for no event in n trials (Hanley and Lippman-Hand 1983, JAMA 249).
    """
    count = look_up(metrics, "unlearned.forget.counts.leakage_rate")
    if look_up(metrics, LEAKAGE) == 0 and count:
        return float(1 - 0.05 ** (1 / count))
    return value_of(metrics, parse_rule(f"upper({LEAKAGE}) <= 1").metric)
