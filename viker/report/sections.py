"""What the report says of the run besides numbers: the request, the settings, the parameters, the promotion."""

import io
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from components.params import Params
from viker.data.requests import REASONS
from viker.gate.rules import look_up
from viker.methods.base.method import method_of
from viker.report import tables
from viker.report.load import Inputs
from viker.report.redact import Pseudonyms

SECTIONS = (
    ("gate", "The gate's verdict"),
    ("request", "Who was to be forgotten"),
    ("metrics", "Metrics before and after"),
    ("attacks", "Attacks"),
    ("answers", "Answers before and after"),
    ("tokens", "Key tokens"),
    ("method", "Method and training"),
    ("lineage", "Lineage and how to reproduce"),
)
"""The id, which is also the name of the template, and the heading of each section."""
_EVERY = ("retain_weight", "epochs", "batch_size", "gradient_accumulation", "lr", "lr_scheduler")
_LORA = ("lora_r", "lora_alpha")


@dataclass(frozen=True)
class Request:
    """A forget request; what the folder of requests no longer says is None."""

    name: str
    reason: str | None = None
    date: str | None = None
    deadline: str | None = None
    people: int | None = None


def requests(inputs: Inputs, pseudonyms: Pseudonyms) -> list[Request]:
    """Return the requests that the run carries out, by the prepared data's manifest."""
    known = {request.id: request for request in inputs.requests}
    found = []
    for name in inputs.manifest.get("requests") or []:
        shown, request = pseudonyms.request(name), known.get(name)
        if request is None:
            found.append(Request(shown))
        else:
            days = str(request.date), str(request.deadline)
            found.append(Request(shown, REASONS[request.reason], *days, len(request.people)))
    return found


def settings(params: Params, inputs: Inputs) -> list[tuple[str, Any]]:
    """Return the settings that decide the adapter under this method, and what the run came to."""
    method, values = params.unlearn.method, params.unlearn.model_dump(mode="json", by_alias=True)
    values |= values.pop("method")
    named = (*method.model_dump(by_alias=True, exclude={"name"}), *_EVERY, *_LORA)
    irrelevant = [("irrelevant images", f"{', '.join(params.sample.kinds)}, {params.sample.k} a question")]
    counted = [(tables.words(key), value) for key, value in sorted(inputs.summary.items()) if key != "method"]
    return [
        ("method", str(inputs.summary.get("method", method.name))),
        *((tables.words(name), str(values[name]).lower()) for name in named),
        *(irrelevant if method_of(method).takes_teacher(method) and method.teacher_input == "irrelevant" else []),
        ("seed", params.seed),
        *((key, value) for key, value in counted if isinstance(value, str | int | float)),
    ]


def params_text(params: Params, inputs: Inputs) -> str:
    """Return params.yaml without its comments; redacted, pseudonyms stand for the people that it names."""
    values = params.model_dump(mode="json", by_alias=True)
    pseudonyms = Pseudonyms(inputs.key, params.report.redact)
    values["prepare"]["forget_ids"] = [pseudonyms.person(person) for person in params.prepare.forget_ids]
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.dump(values, stream)
    return stream.getvalue()


def registration(registered: dict[str, Any] | None, redact: bool) -> dict[str, Any] | None:
    """Return metrics/register.json; redacted, with the number of reasons in place of their texts, which name people."""
    if registered is None or not redact:
        return registered
    named = ("run_id", "model_name", "version", "aliases", "tracking_uri")
    kept = {key: registered[key] for key in named if key in registered}
    how = registered.get("promotion") or {}
    counted = {"overrode": len(how["overrode"])} if how.get("overrode") else {}
    told = {key: how[key] for key in ("kind", "at", "replaces", "instead_of") if key in how}
    return kept | {"promotion": told | counted, "refused": len(registered.get("refused") or [])}


def promotion(registered: dict[str, Any] | None, passed: bool) -> str:
    """Return whether the adapter was promoted, and whether that was forced; of what ``registration`` returns."""
    if registered is None:
        return "Not registered, so not promoted."
    how, refused = registered.get("promotion") or {}, registered.get("refused")
    if "champion" not in (registered.get("aliases") or []):
        return f"Not promoted: {_reasons(refused)}." if refused else "Not promoted."
    overrode = how.get("overrode")
    if overrode or not passed:
        reason = f" Reason given: {how['reason']}." if how.get("reason") else ""
        against = f" It overrode {_reasons(overrode)}." if overrode else ""
        return f"Promotion to 'champion' was forced.{against}{reason}"
    done = "Brought back as" if how.get("kind") == "rollback" else "Promoted to"
    return f"{done} 'champion'; not forced."


def _reasons(found: Any) -> str:
    if isinstance(found, list):
        return "; ".join(map(str, found))
    return f"{found} {'reason' if found == 1 else 'reasons'}, which the registry names"


def glance(metrics: dict[str, Any]) -> list[tuple[str, str, tables.Cell, str]]:
    """Return the numbers to see first: what, before, after, and how to read it."""
    attacks = tables.attacks(metrics)["unlearned"]
    rates = {name: look_up({"block": block}, "block.above_chance") for name, block in attacks.items()}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    worst = max(known, key=lambda name: known[name], default="")
    strongest = tables.measured(metrics, f"unlearned.attacks.{worst}.above_chance")

    def pair(what: str, path: str, how: str) -> tuple[str, str, tables.Cell, str]:
        return (
            what,
            tables.measured(metrics, f"vanilla.{path}").value,
            tables.measured(metrics, f"unlearned.{path}"),
            how,
        )

    return [
        pair("Leakage, people to forget", "forget.leakage_rate", "lower is better"),
        ("Strongest attack, above guessing", "", strongest, tables.words(worst) or "no attack was made"),
        pair("Still known of others", "retain.leakage_rate", "higher is better"),
        pair("Gibberish", "fluency.gibberish_rate", "lower is better"),
    ]
