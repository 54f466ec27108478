"""A real Airflow on this machine: API server, scheduler and the rest, with the DAGs of deploy/airflow."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENDED = ("success", "failed")


class Airflow:
    """``airflow standalone`` with LocalExecutor on SQLite, stages as processes."""

    def __init__(self, python: str, home: Path, environment: dict[str, str]) -> None:
        """Start it and wait until the DAG ``viker`` is known; ``environment``: of the scheduler and so of the tasks."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.program, self.home = str(Path(python).with_name("airflow")), home
        settings = {
            "CORE__DAGS_FOLDER": str(ROOT / "deploy/airflow"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "2",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.address}/execution/",
            "API__PORT": str(self.port),
            "API__HOST": "127.0.0.1",
            "API__BASE_URL": self.address,
            "API__WORKERS": "1",
            "API_AUTH__JWT_ISSUER": "viker",  # newer PyJWT takes no missing one
            "LOGGING__LOGGING_LEVEL": "WARNING",
        }
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.environment |= {f"AIRFLOW__{name}": value for name, value in settings.items()}
        self.environment |= environment | {
            "AIRFLOW_HOME": str(home),
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        }
        self.log = (home / "standalone.log").open("w")
        self.process = subprocess.Popen(
            [self.program, "standalone"],
            env=self.environment,
            cwd=home,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.token = ""
        try:
            self._until(lambda: self._try_token(), 400, "the API server answers")
            self._until(lambda: any(d["dag_id"] == "viker" for d in self.get("/dags")["dags"]), 300, "the DAG is known")
            self.command("pools", "set", "viker_gpu", "1", "tasks that load the model")
            self.call("PATCH", "/dags/viker", {"is_paused": False})
        except BaseException:
            self.stop()
            raise

    def command(self, *arguments: str) -> str:
        """Run a command of Airflow's."""
        done = subprocess.run(
            [self.program, *arguments], env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def trigger(self, name: str, params: dict[str, Any]) -> None:
        """Start a run."""
        self.call("POST", "/dags/viker/dagRuns", {"dag_run_id": name, "logical_date": None, "conf": params})

    def states(self, run: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        found = self.get(f"/dags/viker/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        return {one["task_id"]: one["state"] for one in found}

    def tries(self, run: str, task: str) -> int:
        """Return how often a task was tried."""
        return int(self.get(f"/dags/viker/dagRuns/{run}/taskInstances/{task}")["try_number"])

    def wait(self, run: str, seconds: float = 1200) -> dict[str, str]:
        """Return the states of a run's tasks once it has ended, its own under ``""``."""
        self._until(lambda: self.get(f"/dags/viker/dagRuns/{run}")["state"] in ENDED, seconds, f"{run} ends")
        return self.states(run) | {"": self.get(f"/dags/viker/dagRuns/{run}")["state"]}

    def text(self, run: str, task: str, attempt: int = 1) -> str:
        """Return what a task said."""
        return json.dumps(self.get(f"/dags/viker/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"))

    def get(self, path: str) -> Any:
        """Read from the API."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API."""
        request = urllib.request.Request(f"{self.address}/api/v2{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def stop(self) -> None:
        """End it and all that it has started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()

    def _try_token(self) -> bool:
        assert self.process.poll() is None, (self.home / "standalone.log").read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{self.address}/auth/token", timeout=5) as answer:
                self.token = json.loads(answer.read())["access_token"]
            return True
        except OSError:
            return False

    def _until(self, holds: Any, seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"{what}: not within {seconds} s; see {self.home / 'standalone.log'}"
            time.sleep(1)
