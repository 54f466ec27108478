"""A stand-in of Kubeflow Pipelines' API over HTTP, which refuses what the API's OpenAPI description doesn't allow.

Paths, query parameters and the shapes of the bodies are read off the client that is generated from that description.
"""

import functools
import inspect
import json
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import kfp_server_api as api

SERVICES = (api.ExperimentServiceApi, api.RunServiceApi, api.RecurringRunServiceApi)


@functools.cache
def described() -> list[tuple[str, re.Pattern[str], set[str], str, str]]:
    """Return method, path, query parameters, type of the body and name of every operation."""
    operations = []
    for service in SERVICES:
        for name, method in inspect.getmembers(service, inspect.isfunction):
            if not name.endswith("_with_http_info"):
                continue
            source = inspect.getsource(method)
            path, verb = re.search(r"'(/apis/[^']+)', '([A-Z]+)'", source).groups()
            pattern = re.compile(re.sub(r"\{\w+\}", r"([^/:]+)", path) + "$")
            query = set(re.findall(r"query_params\.append\(\('(\w+)'", source))
            body = re.search(r":type \w+: (V2beta1\w+)", source)
            operations.append(
                (verb, pattern, query, body.group(1) if body else "", name.removesuffix("_with_http_info"))
            )
    return operations


def problems(value: Any, kind: str, at: str = "") -> list[str]:
    """Return where a body differs from its type in the description."""
    if (inner := re.fullmatch(r"list\[(.+)\]", kind)) is not None:
        return [p for i, item in enumerate(value) for p in problems(item, inner.group(1), f"{at}[{i}]")]
    if kind.startswith("dict(") or kind == "object":
        return [] if isinstance(value, dict) or kind == "object" else [f"{at}: no object"]
    if kind in ("str", "datetime"):
        return [] if isinstance(value, str) else [f"{at}: {value!r} is no string"]
    if kind == "bool":
        return [] if isinstance(value, bool) else [f"{at}: {value!r} is no boolean"]
    model = getattr(api, kind)
    if not model.openapi_types:
        return [] if value in model.allowable_values else [f"{at}: {value!r} is none of {model.allowable_values}"]
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    unknown = [f"{at}.{key}: unknown" for key in value if key not in types]
    return unknown + [p for key in value if key in types for p in problems(value[key], types[key], f"{at}.{key}")]


class FakeHost:
    """What the server holds. ``fail`` says of an operation: (status, body, carry it out all the same), or None."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.version = "2.17.0"
        self.experiments: dict[str, dict] = {}
        self.runs: dict[str, dict] = {}
        self.schedules: dict[str, dict] = {}
        self.seen: list[str] = []
        self.states: list[dict[str, str]] = []
        self.refused: list[str] = []
        self.fail = lambda operation: None
        self.operations = described()
        self.clock = datetime(2026, 11, 24, tzinfo=UTC)

    def start(self) -> str:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer = host.handle(self.command, self.path, body, self.headers.get("authorization", ""))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_DELETE = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def handle(self, verb: str, target: str, content: bytes, authorization: str) -> tuple[int, dict]:
        url = urlsplit(target)
        if url.path == "/apis/v2beta1/healthz":  # backend/src/apiserver/main.go, healthzResponse
            return 200, {"commit_sha": "unknown", "tag_name": self.version, "multi_user": False}
        found = next((one for one in self.operations if one[0] == verb and one[1].fullmatch(url.path)), None)
        if found is None:
            return self.refuse(404, f"{verb} {url.path} is no operation of the API")
        _, pattern, query, kind, name = found
        match = pattern.fullmatch(url.path)
        self.seen.append(name)
        asked = dict(parse_qsl(url.query))
        wrong = [f"query parameter {key}: unknown" for key in asked if key not in query]
        body = json.loads(content) if content else {}
        wrong += problems(body, kind, kind) if kind else []
        if wrong:
            return self.refuse(400, "; ".join(wrong))
        if self.token and authorization != f"Bearer {self.token}":
            return 401, {"code": 16, "message": "Request header error: unauthenticated"}
        trouble = self.fail(name)
        if trouble:
            status, answer, after = trouble
            if after:
                self.answer(name, match.groups(), asked, body)
            return status, answer
        return self.answer(name, match.groups(), asked, body)

    def refuse(self, status: int, message: str) -> tuple[int, dict]:
        self.refused.append(message)
        return status, {"code": 3, "message": message}

    def answer(self, name: str, ids: tuple[str, ...], asked: dict[str, str], body: dict) -> tuple[int, dict]:
        kind = "schedules" if "recurring" in name else "runs" if name.startswith("run_") else "experiments"
        key = {"schedules": "recurring_run_id", "runs": "run_id", "experiments": "experiment_id"}[kind]
        held = getattr(self, kind)
        action = re.search(r"_(create|list|get|delete|enable|disable)_", name).group(1)
        if action == "create":
            if kind != "experiments" and body.get("experiment_id") not in self.experiments:
                return self.refuse(400, "experiment_id names no experiment")
            if kind == "schedules":
                body["status"] = {"ENABLE": "ENABLED", "DISABLE": "DISABLED"}[body["mode"]]
            self.clock += timedelta(minutes=1)
            new = str(uuid.uuid4())
            held[new] = body | {key: new, "created_at": self.clock.isoformat()}
            return 200, held[new]
        if action == "list":
            return 200, {("recurringRuns" if kind == "schedules" else kind): self.listed(held, asked)}
        if ids[0] not in held:
            return 404, {"code": 5, "message": f"{ids[0]} not found"}
        if action == "delete":
            del held[ids[0]]
            return 200, {}
        if action in ("enable", "disable"):
            held[ids[0]]["status"] = f"{action.upper()}D"
            return 200, {}
        if kind == "runs" and self.states:
            state = self.states.pop(0)
            held[ids[0]] |= {"state": state["run"], "run_details": {"task_details": details(state)}}
        return 200, held[ids[0]]

    def listed(self, held: dict[str, dict], asked: dict[str, str]) -> list[dict]:
        found = list(held.values())
        if "experiment_id" in asked:
            found = [one for one in found if one["experiment_id"] == asked["experiment_id"]]
        for predicate in json.loads(unquote(asked.get("filter", "{}"))).get("predicates", []):
            assert predicate["operation"] == "EQUALS"
            found = [one for one in found if one.get(predicate["key"]) == predicate["stringValue"]]
        return sorted(found, key=lambda one: one["created_at"], reverse="desc" in asked.get("sort_by", ""))


def details(state: dict[str, str]) -> list[dict]:
    """The tasks as Kubeflow reports them: beside each there is what decides whether it runs."""
    tasks = {name: value for name, value in state.items() if name != "run"}
    drivers = {f"{name}-driver": "SUCCEEDED" for name in tasks}
    return [{"task_id": name, "display_name": name, "state": value} for name, value in (tasks | drivers).items()]
