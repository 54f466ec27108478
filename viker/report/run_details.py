"""The run itself in the report: its requests, settings, parameters and promotion, and the key figures."""

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from viker.attacks.base.strongest import strongest
from viker.data.requests import ForgetRequest
from viker.evidence.registration import Promotion, Registration
from viker.methods.base.method import Method, MethodSettings, methods
from viker.report import formatting, tables
from viker.report.load import Inputs
from viker.report.redact import Pseudonyms

WITHOUT_IMAGES = {"text_only", "population"}
"""The teachers that are not shown the irrelevant images."""
_EVERY = ("epochs", "batch_size", "gradient_accumulation", "lr", "lr_scheduler")
_LORA = ("lora_r", "lora_alpha")


def requests(inputs: Inputs, pseudonyms: Pseudonyms) -> list[tuple[str, ForgetRequest | None]]:
    """Return the requests that the run carries out, by the prepared data's manifest; None where its file is gone."""
    known = {request.id: request for request in inputs.requests}
    return [(pseudonyms.request(name), known.get(name)) for name in inputs.manifest.get("requests") or []]


def method_of(params: Mapping[str, Any]) -> tuple[Method, MethodSettings]:
    """Return the unlearning method that params.yaml names, and its settings."""
    values = params["unlearn"]["method"]
    method = methods()[values["name"]]
    return method, method.settings.model_validate(values)


def settings(params: Mapping[str, Any], inputs: Inputs) -> list[tuple[str, Any]]:
    """Return the settings that decide the adapter under this method, and the record of the run."""
    unlearn, sample = params["unlearn"], params["sample"]
    method, own_settings = method_of(params)
    own = {name: value for name, value in unlearn["method"].items() if name not in ("name", "retain")}
    term = own_settings.retain
    retain = f"{term.term}, weight {term.weight:g}" if term.active else "none"
    values = {**own, "retain term": retain, **{name: unlearn[name] for name in (*_EVERY, *_LORA)}}
    sees_images = method.takes_teacher(own_settings) and not set(own_settings.teachers) <= WITHOUT_IMAGES
    irrelevant = [("irrelevant images", f"{', '.join(sample['kinds'])}, {sample['k']} per question")]
    record = [(formatting.words(key), value) for key, value in sorted(inputs.summary.items()) if key != "method"]
    private = inputs.summary.get("private_tokens") or {}
    if private.get("values"):
        kept = f"{private['values_kept']} of {private['values']}"
        record.append(("private values that these settings can't make forgotten", kept))
    target = unlearn.get("target", "none")
    return [
        ("method", method.described(own_settings)),
        *([("target", target)] if target != "none" else []),
        *((formatting.words(name), str(value).lower()) for name, value in values.items()),
        *(irrelevant if sees_images else []),
        ("seed", params["seed"]),
        *((key, value) for key, value in record if isinstance(value, str | int | float)),
    ]


def params_text(params: Mapping[str, Any], inputs: Inputs) -> str:
    """Return the values of params.yaml as YAML; redacted, pseudonyms stand for the people that it names."""
    pseudonyms = Pseudonyms(inputs.key, params["report"]["redact"])
    people = [pseudonyms.person(person) for person in params["prepare"]["forget_ids"]]
    values = {**params, "prepare": params["prepare"] | {"forget_ids": people}}
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.dump(values, stream)
    return stream.getvalue()


def registration(registered: Registration | None, redact: bool) -> dict[str, Any] | None:
    """Return metrics/register.json; redacted, with the number of reasons in place of their texts, which name people."""
    if registered is None:
        return None
    if not redact:
        return {**registered}
    public = ("run_id", "model_name", "version", "aliases", "tracking_uri")
    redacted = {key: value for key, value in registered.items() if key in public}
    record: Promotion = registered.get("promotion") or {}
    overrode = {"overrode": len(record["overrode"])} if record.get("overrode") else {}
    harmless = {key: value for key, value in record.items() if key in ("kind", "at", "replaces", "instead_of")}
    return redacted | {"promotion": harmless | overrode, "refused": len(registered.get("refused") or [])}


def promotion(registered: dict[str, Any] | None, passed: bool) -> str:
    """Return a sentence on whether the adapter was promoted and whether that was forced, from ``registration``."""
    if registered is None:
        return "Not registered, so not promoted."
    record, refused = registered.get("promotion") or {}, registered.get("refused")
    if "champion" not in (registered.get("aliases") or []):
        return f"Not promoted: {_reasons(refused)}." if refused else "Not promoted."
    overrode = record.get("overrode")
    if overrode or not passed:
        reason = f" Reason given: {record['reason']}." if record.get("reason") else ""
        against = f" It overrode {_reasons(overrode)}." if overrode else ""
        return f"Promotion to 'champion' was forced.{against}{reason}"
    if record.get("kind") == "rollback":
        return "Brought back as 'champion'; not forced."
    return "Promoted to 'champion'; not forced."


def _reasons(reasons: Any) -> str:
    """Return the reasons, or in a redacted record how many there were."""
    if isinstance(reasons, list):
        return "; ".join(map(str, reasons))
    return f"{reasons} {'reason' if reasons == 1 else 'reasons'}, which the registry names"


def key_figures(metrics: dict[str, Any]) -> list[tuple[str, str, formatting.Cell, str]]:
    """Return the figures to see first: what it is, before, after, and how to read it."""
    most = strongest(tables.attacks(metrics)["unlearned"])
    worst = most[0] if most else ""
    highest = formatting.measured(metrics, f"unlearned.attacks.{worst}.above_chance")

    def pair(what: str, path: str, how: str) -> tuple[str, str, formatting.Cell, str]:
        before, after = (formatting.measured(metrics, f"{model}.{path}") for model in tables.MODELS)
        return what, before.value, after, how

    return [
        pair("Leakage, people to forget", "forget.leakage_rate", "lower is better"),
        ("Strongest attack, above guessing", "", highest, tables.attack_heading(worst) or "no attack was made"),
        pair("Still known about others", "retain.leakage_rate", "higher is better"),
        pair("Gibberish", "fluency.gibberish_rate", "lower is better"),
    ]
