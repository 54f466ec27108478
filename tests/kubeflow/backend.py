"""A double of Kubeflow's backend with Argo below it: runs the compiled YAML, task by task, in a time of its own.

Sources: kubeflow/pipelines, tag 2.17.0, below backend/src/v2; argoproj/argo-workflows, workflow/controller/operator.go.

- A failed task is tried again at most so often, after growing pauses, and only until backoffMaxDuration has passed
  since the first attempt began, which also ends an attempt under way (compiler/argocompiler/container.go,
  getTaskRetryStrategyFromInput; operator.go, processNodeRetries: "Max duration limit exceeded"). Any exit code but 0
  counts alike: no retryPolicy is set, so it is OnFailure; a pod that vanished with its node is an error, and isn't
  tried again.
- Whether a task has failed is said by its execution: COMPLETE or CACHED, FAILED, and RUNNING for good where the
  launcher was killed before it could say so. A DAG is what its tasks are; the exit task is told that state of the
  DAG, never SUCCEEDED (driver/resolve.go, TaskFinalStatus: GetLastKnownState).
- Conditions on a task's outputs; a task behind a failed one doesn't run; the exit task always does.
- A pod is ended after activeDeadlineSeconds.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.kubeflow.launcher import (
    MAX_ARG_STRLEN,
    RUN_LABEL,
    Attempt,
    collected,
    executor_input,
    filled,
    fingerprint,
    size,
)

LOST = "lost"
"""What a stand-in for a program returns if its node has gone."""


@dataclass
class Run:
    """A run: what happened to its tasks."""

    id: str
    state: str = "RUNNING"
    attempts: list[Attempt] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    made: dict[str, dict] = field(default_factory=dict)
    """Artifacts and results by task."""

    def of(self, task: str) -> list[Attempt]:
        """Return a task's attempts."""
        return [attempt for attempt in self.attempts if attempt.task == task]

    def ran(self) -> set[str]:
        """Return the tasks of which a container was started."""
        return {attempt.task for attempt in self.attempts}

    def path(self, task: str, artifact: str) -> Path:
        """Return where an artifact is stored."""
        return Path(self.made[task]["artifacts"][artifact][0]["stored"])


class Backend:
    """Kubeflow with one pipeline."""

    def __init__(
        self,
        text: str,
        folder: Path,
        execute: Callable[[Attempt], int | str | None],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Take the compiled YAML, a folder of its own, what runs a container, and variables in place of the pods'."""
        self.spec, *platform = YAML(typ="safe", pure=True).load_all(text)
        self.pods = platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platform else {}
        self.folder, self.execute, self.environment = folder, execute, environment or {}
        self.cache: dict[str, dict] = {}
        self.numbers, self.now = count(1), 0.0

    def run(self, **arguments: Any) -> Run:
        """Run the pipeline to its end."""
        run = Run(str(uuid.uuid4()))
        definitions = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        values = {name: one["defaultValue"] for name, one in definitions.items() if "defaultValue" in one} | arguments
        state, _ = self._dag(run, self.spec["root"]["dag"], values, {})
        run.state = {"COMPLETE": "SUCCEEDED"}.get(state, "FAILED")
        return run

    def _dag(self, run: Run, dag: dict, values: dict, artifacts: dict) -> tuple[str, dict]:
        made: dict[str, dict] = {}
        states: dict[str, str] = {}
        waiting = dict(dag["tasks"])
        while waiting:
            name = next(n for n, t in waiting.items() if not {*t.get("dependentTasks", ())} & waiting.keys())
            task = waiting.pop(name)
            trigger = task.get("triggerPolicy", {})
            before = [states[other] for other in task.get("dependentTasks", ())]
            always = trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            if not always and any(state not in ("COMPLETE", "CACHED") for state in before):
                states[name] = "SKIPPED"
                continue
            given = self._inputs(run, task, values, artifacts, made, states)
            if "condition" in trigger and not holds(trigger["condition"], given[0]):
                states[name] = "SKIPPED"
                continue
            states[name], made[name] = self._task(run, name, task, *given)
            run.states[name] = states[name]
            run.made[name] = made[name]
        outputs = {"artifacts": {}, "parameters": {}}
        for kind, key in (("artifacts", "artifactSelectors"), ("parameters", "valueFromParameter")):
            for name, chosen in dag.get("outputs", {}).get(kind, {}).items():
                for one in chosen[key] if kind == "artifacts" else [chosen[key]]:
                    source = made.get(one["producerSubtask"], {}).get(kind, {})
                    wanted = one["outputArtifactKey" if kind == "artifacts" else "outputParameterKey"]
                    if wanted in source:
                        outputs[kind][name] = source[wanted]
        last = [n for n, t in dag["tasks"].items() if t.get("triggerPolicy", {}).get("strategy")]
        whole = {state for name, state in states.items() if name not in last or len(states) == 1}
        for state in ("FAILED", "RUNNING"):
            if state in whole:
                return state, outputs
        return "COMPLETE", outputs

    def _inputs(self, run: Run, task: dict, values: dict, artifacts: dict, made: dict, states: dict) -> tuple:
        given: dict[str, Any] = {}
        for name, where in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in where:
                given[name] = values[where["componentInputParameter"]]
            elif "taskOutputParameter" in where:
                source = where["taskOutputParameter"]
                given[name] = made[source["producerTask"]]["parameters"][source["outputParameterKey"]]
            elif "taskFinalStatus" in where:
                of = where["taskFinalStatus"]["producerTask"]
                given[name] = {"state": states[of], "pipelineTaskName": of, "error": {}}
            else:
                constant = where["runtimeValue"]["constant"]
                given[name] = run.id if constant == "{{$.pipeline_job_uuid}}" else constant
        read = {}
        for name, where in task.get("inputs", {}).get("artifacts", {}).items():
            if "componentInputArtifact" in where:
                read[name] = artifacts[where["componentInputArtifact"]]
            else:
                source = where["taskOutputArtifact"]
                read[name] = made[source["producerTask"]]["artifacts"][source["outputArtifactKey"]]
        return given, read

    def _task(self, run: Run, name: str, task: dict, values: dict, artifacts: dict) -> tuple[str, dict]:
        component = self.spec["components"][task["componentRef"]["name"]]
        if "parameterIterator" in task:
            iterator = task["parameterIterator"]
            states, parts = [], []
            for item in json.loads(iterator["items"]["raw"]):
                state, made = self._dag(run, component["dag"], values | {iterator["itemInput"]: item}, artifacts)
                states.append(state)
                parts.append(made)
            collected_parts: dict[str, dict] = {"artifacts": {}, "parameters": {}}
            for part in parts:
                for key, entries in part["artifacts"].items():
                    collected_parts["artifacts"].setdefault(key, []).extend(entries)
            return next((s for s in states if s != "COMPLETE"), "COMPLETE"), collected_parts
        if "dag" in component:
            return self._dag(run, component["dag"], values, artifacts)
        definitions = component.get("inputDefinitions", {}).get("parameters", {})
        values = {n: one["defaultValue"] for n, one in definitions.items() if "defaultValue" in one} | values
        executor = component["executorLabel"]
        container, pod = self.spec["deploymentSpec"]["executors"][executor]["container"], self.pods.get(executor, {})
        claims = [mount.get("constant", "") for mount in pod.get("pvcMount", ())]
        key = None
        if task.get("cachingOptions", {}).get("enableCache"):
            key = fingerprint(component, container, values, artifacts, claims)
            if key in self.cache:
                return "CACHED", self.cache[key]
        state, made = self._attempts(run, name, task, component, container, pod, values, artifacts)
        if key and state == "COMPLETE":
            self.cache[key] = made
        return state, made

    def _attempts(
        self,
        run: Run,
        name: str,
        task: dict,
        component: dict,
        container: dict,
        pod: dict,
        values: dict,
        artifacts: dict,
    ) -> tuple[str, dict]:
        policy, began = task.get("retryPolicy", {}), self.now
        pause, factor = float(policy.get("backoffDuration", "0s")[:-1]), policy.get("backoffFactor", 1)
        window = float(policy["backoffMaxDuration"][:-1]) if "backoffMaxDuration" in policy else float("inf")
        for number in range(policy.get("maxRetryCount", 0) + 1):
            if number and self.now > began + window:
                return "FAILED", {}
            self.now += pause * factor ** (number - 1) if number else 0
            folder = self.folder / "pods" / f"{next(self.numbers)}-{name}"
            uri = f"minio://mlpipeline/v2/artifacts/viker/{run.id}/{name}"
            task_input = executor_input(folder, component, values, artifacts, uri)
            command = [filled(part, task_input) for part in (*container["command"], *container.get("args", ()))]
            if any(len(part.encode()) >= MAX_ARG_STRLEN for part in command):
                raise OSError(7, f"{name}: Argument list too long")
            accelerator = container.get("resources", {}).get("accelerator", {})
            environment = {one["name"]: one.get("value", "") for one in container.get("env", ())}
            fields = {one["name"]: one["fieldPath"] for one in pod.get("fieldPathAsEnv", ())}
            environment |= {key: run.id for key, path in fields.items() if path == RUN_LABEL} | self.environment
            attempt = Attempt(name, command, environment, task_input, container["image"], 0, number)
            attempt.gpus = int(accelerator.get("resourceCount", 0))
            attempt.downloaded = {key: size(path) for key, path in attempt.inputs().items()}
            run.attempts.append(attempt)
            code = self.execute(attempt)
            limit = float(pod.get("activeDeadlineSeconds", "inf"))
            limit = min(limit, began + window - self.now) if number else limit
            self.now += min(attempt.seconds, limit)
            if code == LOST:
                return "RUNNING", {}
            attempt.code = code if attempt.seconds <= limit else None
            if attempt.code == 0:
                made = collected(attempt, component, self.folder / "store", lambda: next(self.numbers))
                return "COMPLETE", made
        return "RUNNING" if attempt.code is None else "FAILED", {}


def holds(condition: str, values: dict[str, Any]) -> bool:
    """Return whether a trigger's condition holds."""
    text = re.sub(r"inputs\.parameter_values\['([^']+)'\]", lambda m: repr(values[m[1]]), condition)
    text = re.sub(r"!(?!=)", " not ", text.replace("&&", " and ").replace("||", " or "))
    return bool(eval(text, {"__builtins__": {}, "true": True, "false": False}))
