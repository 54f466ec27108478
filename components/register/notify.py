"""Who is told how a run ended: a webhook, people by e-mail, Alertmanager, Prometheus. Nothing to do is silent.

Each is an address, or a file, in the environment:

- VIKER_WEBHOOK: a JSON body with ``text``, as Slack, Mattermost and others take it, is posted there;
- VIKER_SMTP: the mail server, see ``send_mail``; VIKER_MAIL_TO: who gets the mail; VIKER_MAIL_FROM: whose it is;
- VIKER_ALERTMANAGER: Alertmanager's address; what needs a person is an alert there;
- VIKER_PUSHGATEWAY: the pushgateway's address; VIKER_METRICS_FILE: a file for the node exporter's textfile collector.

Texts hold counts, IDs of requests and the run's, no people.
"""

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import requests as http

from components.contract.ended import FAILED, GATE_FAILED, PASSED
from components.register.mail import send_mail
from viker.core.files import new_file
from viker.core.redact import without_secrets
from viker.data.requests import ForgetRequest

SOON = 7
"""Days before a deadline from which it is told."""
TIMEOUT = 10
log = logging.getLogger(__name__)


class Message(NamedTuple):
    """Something to tell: what it is called as an alert, whether a person must act, and the sentence."""

    name: str
    urgent: bool
    text: str


def messages(
    run: str, outcome: str, errors: Iterable[str], requests: Iterable[ForgetRequest], today: date
) -> list[Message]:
    """Return what there is to tell of a run and of the requests that are pending after it."""
    pending = [request for request in requests if request.carried_out is None]
    told = []
    if outcome == PASSED:
        told.append(
            Message("ViKeRPromoted", False, f"Run {run}: the gate passed, and the new version is the champion.")
        )
    if outcome == GATE_FAILED:
        told.append(Message("ViKeRGateFailed", True, f"Run {run}: the gate failed; nothing was promoted."))
    if outcome == FAILED:
        told.append(
            Message("ViKeRRunFailed", True, f"Run {run} failed: {' '.join(errors)[:500] or 'no task said why'}")
        )
    if overdue := sorted(request.id for request in pending if request.is_overdue(today)):
        told.append(Message("ViKeROverdue", True, f"Past their deadline and not carried out: {', '.join(overdue)}."))
    near = [(request.deadline - today).days for request in pending if 0 <= (request.deadline - today).days <= SOON]
    if near:
        told.append(Message("ViKeRDeadline", True, f"{len(near)} requests are due within {max(near)} days."))
    return told


def metrics(outcome: str, requests: Iterable[ForgetRequest], now: datetime) -> str:
    """Return the metrics in Prometheus' text format."""
    pending = [request for request in requests if request.carried_out is None]
    days = [(request.deadline - now.date()).days for request in pending]
    values = {
        f'viker_last_run_outcome{{outcome="{outcome}"}}': 1,
        "viker_last_run_timestamp_seconds": int(now.timestamp()),
        "viker_requests_pending": len(pending),
        "viker_requests_overdue": sum(day < 0 for day in days),
    }
    if days:
        values["viker_nearest_deadline_days"] = min(days)
    names = dict.fromkeys(name.partition("{")[0] for name in values)
    lines = [f"# TYPE {name} gauge" for name in names] + [f"{name} {value}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def tell(run: str, outcome: str, errors: list[str], requests: list[ForgetRequest], now: datetime | None = None) -> None:
    """Tell it to whatever is named in the environment; what doesn't answer is logged, and fails nothing."""
    now = now or datetime.now(UTC)
    told = messages(run, outcome, errors, requests, now.date())
    if told and os.environ.get("VIKER_WEBHOOK"):
        lines = [f"{':rotating_light:' if one.urgent else ':white_check_mark:'} {one.text}" for one in told]
        _send("POST", "VIKER_WEBHOOK", "", json.dumps({"text": "\n".join(lines)}), "application/json")
    if told and (server := os.environ.get("VIKER_SMTP")):
        _mail(server, told)
    alerts = [_alert(one, run) for one in told if one.urgent]
    if alerts and os.environ.get("VIKER_ALERTMANAGER"):
        _send("POST", "VIKER_ALERTMANAGER", "/api/v2/alerts", json.dumps(alerts), "application/json")
    text = metrics(outcome, requests, now)
    if os.environ.get("VIKER_PUSHGATEWAY"):
        _send("PUT", "VIKER_PUSHGATEWAY", "/metrics/job/viker", text, "text/plain; version=0.0.4")
    if file := os.environ.get("VIKER_METRICS_FILE"):
        with new_file(Path(file)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _alert(message: Message, run: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": message.name, "severity": "critical", "service": "viker"},
        "annotations": {"summary": message.text, "run": run},
    }


def _mail(server: str, told: list[Message]) -> None:
    to = os.environ.get("VIKER_MAIL_TO", "")
    subject = f"ViKeR: {', '.join(one.name.removeprefix('ViKeR') for one in told)}"
    try:
        if not to:
            raise ValueError("VIKER_MAIL_TO names nobody")
        text = "\n\n".join(one.text for one in told)
        send_mail(server, to, subject, text, os.environ.get("VIKER_MAIL_FROM"), TIMEOUT)
    except (OSError, ValueError) as error:
        log.warning("%s was not told: %s", without_secrets(server), without_secrets(str(error)))


def _send(method: str, variable: str, path: str, body: str, kind: str) -> None:
    """Send ``body`` to the address in an environment variable; what doesn't answer is logged without the address.

    The path of a webhook is its secret, and the texts of requests' errors repeat it.
    """
    address = os.environ[variable].rstrip("/" if path else "") + path
    try:
        answer = http.request(method, address, data=body.encode(), headers={"Content-Type": kind}, timeout=TIMEOUT)
        if not answer.ok:
            log.warning("%s was not told: it answered with %d", variable, answer.status_code)
    except http.RequestException as error:
        log.warning("%s was not told: %s", variable, type(error).__name__)
