"""Runs combinations side by side. Each step has a folder of its own, with links to all that it reads."""

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml import YAML

from pipelines.sweep.plan import LAST, Combination, Stage, input_keys
from viker.core.files import new_file, read_json, write_json
from viker.core.mlflow_store import tracking_uri
from viker.core.pseudonyms import privacy_folder
from viker.core.result_cache import FOLDER, cache_folder

DONE = "done.json"
NOT_LINKED = {"work", "params.yaml", "mlartifacts", "dvc.lock"}
"""What a step's folder has of its own, or does not need."""


class StepFailed(Exception):
    """A step ended with an error; the message says which, and where its output is."""


class Sweep:
    """Runs combinations below ``work/ENGINE`` of the work tree; steps that are done are not repeated."""

    def __init__(
        self,
        root: Path,
        key: str,
        stages: Sequence[Stage],
        engine: str = "sweep",
        ends: Callable[[Path], bool] = lambda folder: False,
    ) -> None:
        """Take the work tree, the key of the sweep's run in MLflow, and the stages to run.

        ``engine``: what MLflow says it was run by; ``ends``: given the folder of the step that runs, about twice a
        second, whether to end it.
        """
        self.root, self.key, self.stages, self.engine, self._ends = root, key, stages, engine, ends
        self.folder = root / "work" / engine
        self._outs = {out for stage in stages for out in stage.outs}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(
        self,
        combinations: Sequence[Combination],
        jobs: int,
        report: Callable[[Combination, dict[str, Any]], None] = lambda combination, result: None,
        last: str = LAST,
    ) -> list[dict[str, Any]]:
        """Run all combinations up to the stage ``last``, ``jobs`` at a time, and return their results in order.

        ``report`` is called as each ends. A result holds ``folders``, each step's by its stage, ``seconds`` likewise,
        and what it got to of ``metrics`` and ``gate``, or ``error``: a combination that fails does not end the others.
        """

        def run_one(combination: Combination) -> dict[str, Any]:
            result = self._run(combination, last)
            report(combination, result)
            return result

        with ThreadPoolExecutor(jobs) as pool:
            try:
                return list(pool.map(run_one, combinations))
            finally:
                with self._lock:
                    self._stopped = True
                    for process in self._running:
                        process.terminate()  # unlearn saves a checkpoint first

    def _run(self, combination: Combination, last: str) -> dict[str, Any]:
        keys = input_keys(self.root, self.stages, combination)
        folders = {name: self.folder / f"{name}-{key[:16]}" for name, key in keys.items()}
        result: dict[str, Any] = {"folders": folders, "seconds": {}}
        tree_by_out = {out: self.root for stage in self.stages if stage.name not in keys for out in stage.outs}
        try:
            for stage in (stage for stage in self.stages if stage.name in keys):
                folder = folders[stage.name]
                self._run_step(combination, stage, folder, tree_by_out)
                result["seconds"][stage.name] = read_json(folder / DONE, stage.name).get("seconds", 0.0)
                tree_by_out |= dict.fromkeys(stage.outs, folder)
                if stage.name == last:
                    break
        except StepFailed as error:
            return result | {"error": str(error)}
        written = {"metrics": ("metrics/evaluate.json", "evaluate"), "gate": ("metrics/gate.json", "gate")}
        return result | {
            name: read_json(tree_by_out[file] / file, by) for name, (file, by) in written.items() if file in tree_by_out
        }

    def _run_step(self, combination: Combination, stage: Stage, folder: Path, tree_by_out: Mapping[str, Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # another combination may share the step, as may another sweep
            if (folder / DONE).exists():
                return
            self._lay_out(combination, folder, tree_by_out)
            log, environment = folder / "log.txt", self._environment(combination)
            began = time.monotonic()
            command = [sys.executable, *shlex.split(stage.command)[1:]]  # of dvc.yaml
            with log.open("ab") as out, self._lock:
                if self._stopped:
                    raise StepFailed("stopped")
                process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)  # noqa: S603 - this interpreter and the command of a stage in dvc.yaml, no shell
                self._running.add(process)
            code = self._wait(process, folder)
            with self._lock:
                self._running.discard(process)
            if code:
                raise StepFailed(f"{stage.name} exited with {code}: {_last_line(log)} ({log})")
            seconds = time.monotonic() - began
            write_json(folder / DONE, {"combination": combination.name, "stage": stage.name, "seconds": seconds})

    def _wait(self, process: "subprocess.Popen[bytes]", folder: Path) -> int:
        """Wait for a step's process, which may be ended before it is through, and return its exit code."""
        while True:
            try:
                return process.wait(0.5)
            except subprocess.TimeoutExpired:
                if self._ends(folder):
                    process.terminate()
                    return process.wait()

    def _lay_out(self, combination: Combination, folder: Path, tree_by_out: Mapping[str, Path]) -> None:
        """Make the folder a work tree: parameters of its own, links to everything else, its outputs missing."""
        with new_file(folder / "params.yaml") as temporary, temporary.open("w", encoding="utf-8") as stream:
            YAML(typ="safe", pure=True).dump(combination.params, stream)
        mixed = {out.split("/")[0] for out in self._outs if "/" in out}
        for entry in sorted(self.root.iterdir()):
            if entry.name in mixed and entry.is_dir():
                for inner in entry.iterdir():
                    if f"{entry.name}/{inner.name}" not in self._outs:
                        _link(inner, folder / entry.name / inner.name)
            elif not entry.name.startswith((".", "mlflow.db")) and entry.name not in NOT_LINKED | self._outs:
                _link(entry, folder / entry.name)
        for out, tree in tree_by_out.items():
            _link(tree / out, folder / out)

    def _environment(self, combination: Combination) -> dict[str, str]:
        scheme, _, database = tracking_uri().partition("sqlite:///")
        variables = {
            "MLFLOW_TRACKING_URI": scheme or f"sqlite:///{self.root / database}",
            "VIKER_TRACKING_DIR": os.environ.get("VIKER_TRACKING_DIR") or str(self.root / "work/tracking"),
            FOLDER: str(self.root / cache_folder()),
            "VIKER_PRIVACY_DIR": str(self.root / privacy_folder()),
            "VIKER_SWEEP": self.key,
            "VIKER_RUN": f"{self.key} {json.dumps(combination.swept, sort_keys=True)}",
            "VIKER_RUN_NAME": combination.name,
            "VIKER_ENGINE": self.engine,
            # threads that spin while they wait would take the cores from the other jobs
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        }
        path = os.pathsep.join(filter(None, (str(self.root), os.environ.get("PYTHONPATH"))))
        return os.environ | variables | {"PYTHONPATH": path}


def _link(source: Path, target: Path) -> None:
    if source.exists() and not target.is_symlink() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")
