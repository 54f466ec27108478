"""Runs a sweep's jobs side by side. Each step has a folder of its own, which holds links to all that it reads."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml import YAML

from pipelines.sweep.plan import Job, Step
from viker.core.files import new_file, read_json, write_json
from viker.tracking import tracking_uri

DONE = "done.json"
APART = {"work", "params.yaml", "mlartifacts", "dvc.lock"}
"""What a step's folder has of its own, or does not need."""


class StepFailed(Exception):
    """A step of a job ended with an error; the message says which, and where its output is."""


class Sweep:
    """Runs jobs; what was done before is not done again."""

    def __init__(self, root: Path, key: str) -> None:
        """Keep all below ``work/sweep`` of the work tree ``root``; ``key`` is the sweep's run in MLflow."""
        self.root, self.key = root, key
        self.folder = root / "work/sweep"
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, jobs: list[Job], parallel: int, told: Callable[[Job, dict[str, Any]], None]) -> list[dict[str, Any]]:
        """Run all jobs, ``parallel`` at a time, and return what each came to, in their order.

        ``told`` is called as each ends. A job that fails has the key ``error`` and doesn't end the others.
        """

        def one(job: Job) -> dict[str, Any]:
            result = self._job(job)
            told(job, result)
            return result

        with ThreadPoolExecutor(parallel) as pool:
            try:
                return list(pool.map(one, jobs))
            finally:
                self.stop()

    def stop(self) -> None:
        """End what still runs; unlearning saves a checkpoint first."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()

    def _job(self, job: Job) -> dict[str, Any]:
        places = {out: self.root for step in job.steps if step.key is None for out in step.outs}
        try:
            for step in (step for step in job.steps if step.key is not None):
                folder = self.folder / f"{step.stage}-{str(step.key)[:16]}"
                self._step(job, step, folder, places)
                places |= dict.fromkeys(step.outs, folder)
        except StepFailed as error:
            return {"error": str(error)}
        return {
            "metrics": read_json(places["metrics/evaluate.json"] / "metrics/evaluate.json", "evaluate"),
            "gate": read_json(places["metrics/gate.json"] / "metrics/gate.json", "gate"),
        }

    def _step(self, job: Job, step: Step, folder: Path, places: Mapping[str, Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if (folder / DONE).exists():
                return
            self._furnish(job, step, folder, places)
            with (folder / "log.txt").open("ab") as log, self._lock:
                if self._stopped:
                    raise StepFailed("stopped")
                command = shlex.split(step.command)
                process = subprocess.Popen(  # noqa: S603 - the command of dvc.yaml
                    [sys.executable, *command[1:]], cwd=folder, env=self._environment(job), stdout=log, stderr=log
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
            if code:
                raise StepFailed(f"{step.stage} ended with {code}: {_last_line(folder / 'log.txt')} ({folder}/log.txt)")
            write_json(folder / DONE, {"job": job.name, "stage": step.stage})

    def _furnish(self, job: Job, step: Step, folder: Path, places: Mapping[str, Path]) -> None:
        """Lay out the folder as a work tree: the step's own parameters, links to all else, its outputs missing."""
        with new_file(folder / "params.yaml") as temporary, temporary.open("w", encoding="utf-8") as stream:
            YAML(typ="safe", pure=True).dump(job.values, stream)
        outs = {out for each in job.steps for out in each.outs}
        mixed = {out.split("/")[0] for out in outs if "/" in out}
        for entry in sorted(self.root.iterdir()):
            if entry.name in mixed and entry.is_dir():
                for inner in entry.iterdir():
                    if f"{entry.name}/{inner.name}" not in outs:
                        _link(inner, folder / entry.name / inner.name)
            elif not entry.name.startswith((".", "mlflow.db")) and entry.name not in APART | outs:
                _link(entry, folder / entry.name)
        for out, place in places.items():
            _link(place / out, folder / out)

    def _environment(self, job: Job) -> dict[str, str]:
        uri = tracking_uri()
        if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
            uri = f"sqlite:///{self.root / uri.removeprefix('sqlite:///')}"
        names = {
            "MLFLOW_TRACKING_URI": uri,
            "VIKER_TRACKING_DIR": os.environ.get("VIKER_TRACKING_DIR") or str(self.root / "work/tracking"),
            "VIKER_SWEEP": self.key,
            "VIKER_RUN": f"{self.key} {json.dumps(job.swept, sort_keys=True)}",
            "VIKER_RUN_NAME": job.name,
            "VIKER_ENGINE": "sweep",
            # threads that wait for each other would otherwise keep the cores from the job beside theirs
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        }
        path = os.pathsep.join(filter(None, (str(self.root), os.environ.get("PYTHONPATH"))))
        return os.environ | names | {"PYTHONPATH": path}


def _link(source: Path, target: Path) -> None:
    if source.exists() and not target.is_symlink() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "no output"
