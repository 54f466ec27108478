"""What a stage tells MLflow while it runs.

It writes to the outbox only. A process of its own sends: neither a server that is down nor an error in what is logged
can touch the stage.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.params import Params
from viker.core.files import read_json, sha256_path
from viker.tracking.code import package_versions
from viker.tracking.connection import connect, explained, tracking_uri, without_secrets
from viker.tracking.flatten import flatten, numbers, text
from viker.tracking.identity import dvc_hashes, lineage, stamp, sweep_run
from viker.tracking.journal import Journal, last_sign, now, outbox

STAGE, PIPELINE = -1, -2
"""Which run a record is about, counted from the innermost."""
PATIENT = 5.0
"""Seconds after which a stage begins to send; a shorter one that DVC runs leaves its records to the next."""
LOST = 60.0
"""Seconds without progress after which a sender that hangs is given up."""

log = logging.getLogger(__name__)


class Stage:
    """The records of one stage that runs. Nothing here raises: what can't be written is lost with one warning."""

    def __init__(self, name: str, runs: Callable[[], list[dict[str, Any]]], experiment: str, required: bool) -> None:
        """Open the journal about ``runs``, unless tracking is off or this is not the first of several processes."""
        self.name = name
        self.folder = outbox() / stamp(name)
        self._journal: Journal | None = None
        off = os.environ.get("VIKER_TRACKING") == "off" and not required
        if off or os.environ.get("RANK", "0") != "0":
            return
        with self._safely():
            self._journal = Journal(self.folder, {"experiment": experiment, "runs": runs(), "time": now()})

    @property
    def on(self) -> bool:
        """Return whether anything is recorded."""
        return self._journal is not None

    def metrics(self, values: Mapping[str, Any], step: int = 0, run: int = STAGE) -> None:
        """Record the finite numbers of nested values by dotted name."""
        found = numbers(values)
        if found:
            self._add({"metrics": found, "step": step, "run": run})

    def params(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record nested values as parameters by dotted name."""
        self._add({"params": {name: text(value) for name, value in flatten(values).items()}, "run": run})

    def tags(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record tags."""
        if values:
            self._add({"tags": {name: text(value) for name, value in values.items()}, "run": run})

    def artifact(self, path: Path, folder: str = "", run: int = STAGE) -> None:
        """Record a file, or the files of a folder, as they are now; what is not there is left out."""
        with self._safely():
            if self._journal is not None and path.exists():
                self._add({"artifact": self._journal.keep(path), "folder": folder, "run": run})

    def file(self, name: str, content: str, run: int = STAGE) -> None:
        """Record a text as a file, without secrets."""
        self._add({"file": name, "text": content, "run": run})

    def data(self, prepared: Path) -> None:
        """Record the prepared data as inputs, a data set a split, and what it is as tags of the pipeline's run."""
        with self._safely():
            if self._journal is None:
                return
            manifest = read_json(prepared / "manifest.json", "prepare")
            tags = {"data_sha256": sha256_path(prepared / "manifest.json"), "data": manifest["source"]}
            if manifest.get("requests"):
                tags["requests"] = ", ".join(manifest["requests"])
            self.tags(tags, PIPELINE)
            for split, counts in manifest["counts"].items():
                found = {
                    "name": split,
                    "digest": manifest["hashes"][f"{split}.parquet"],
                    "source": f"{prepared.as_posix()}/{split}.parquet",
                    "profile": {key: value for key, value in counts.items() if isinstance(value, int)},
                }
                for run in (STAGE, PIPELINE):
                    self._add({"data": found, "run": run})

    def deliver(self) -> tuple[Any, str]:
        """Send all that waits in the outbox now; return MLflow's client and the id of the pipeline's run.

        Raises:
            UserError: MLflow does not answer or does not take it.
        """
        from viker.tracking.deliver import deliver_now

        uri = tracking_uri()
        client = connect(uri)
        with explained(uri, "the records were not taken", "They are kept"):
            return client, deliver_now(uri, self.folder)

    def end(self, status: str) -> None:
        """Record how the stage ended: FINISHED, FAILED or KILLED."""
        self._add({"end": status})
        with self._safely():
            if self._journal is not None:
                self._journal.close()

    def _add(self, record: Mapping[str, Any]) -> None:
        with self._safely():
            if self._journal is not None:
                self._journal.add({"time": now(), **record})

    @contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a full disk, a value that is no JSON: hours of training don't end for it
            self._journal = None
            log.warning("tracking: %s; nothing more of this stage is recorded", error)


class _Sender:
    """The process that sends; it begins after ``PATIENT`` seconds, or when it is asked to finish."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENT, self.start)
        self._timer.daemon = True
        self._timer.start()

    def start(self) -> None:
        with self._lock:
            if self._process is None:
                root = str(Path(__file__).parents[2])
                path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
                self._process = subprocess.Popen(  # noqa: S603 - this Python, our own module
                    [sys.executable, "-m", "viker.tracking.sender", str(self._journal)],
                    stdin=subprocess.PIPE,  # it sees there that the stage is over, however that ends
                    env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C is for the stage; the sender finishes what it has begun
                )

    def finish(self, wait: bool) -> None:
        """Let it send the rest; a stage too short for a sender leaves its records, unless it must ``wait``."""
        try:
            self._finish(wait)
        except Exception as error:  # a sender that can't start or be reached: the records stay for sync
            log.warning("tracking: %s; 'viker track sync' sends the records", error)

    def _finish(self, wait: bool) -> None:
        self._timer.cancel()
        if wait:
            self.start()
        with self._lock:
            process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        began = time.time()
        while process.poll() is None:
            if time.time() - max(began, last_sign(self._journal)) > LOST:
                process.kill()
                process.wait()
                log.warning("tracking: sending hangs; the records are kept, 'viker track sync' sends them")
            time.sleep(0.05)


_current: list[Stage] = []


@contextmanager
def stage(name: str, params: Params, params_file: Path, last: bool = False, required: bool = False) -> Iterator[Stage]:
    """Record a stage: a run of MLflow below that of the pipeline, which ends as the block does.

    Args:
        name: the stage's name.
        params: all parameters.
        params_file: where they come from; the work tree around it tells which pipeline run this is.
        last: whether no stage follows that could send a short one's records.
        required: whether the block can't do without MLflow: it sends by itself, with ``deliver``.
    """
    recorded = Stage(name, lambda: lineage(name, params, params_file), params.register_.experiment, required)
    if recorded.on:
        recorded.file("params.yaml", params_file.read_text(encoding="utf-8"))
        recorded.tags(package_versions())
        recorded.tags(dvc_hashes(params_file.resolve().parent), PIPELINE)
    with _sending(recorded, required, last):
        yield recorded


@contextmanager
def sweep(key: str, params: Params) -> Iterator[Stage]:
    """Record a sweep: the run above those of its combinations."""
    recorded = Stage("sweep", lambda: [sweep_run(key)], params.register_.experiment, required=False)
    with _sending(recorded, required=False, last=True):
        yield recorded


@contextmanager
def _sending(recorded: Stage, required: bool, last: bool) -> Iterator[None]:
    sender = _Sender(recorded.folder) if recorded.on and not required else None
    _current.append(recorded)
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except SystemExit as end:
        status = "KILLED" if end.code else "FINISHED"
        raise
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:  # noted as the run's end, and raised again
        recorded.tags({"error": f"{type(error).__name__}: {error}"[:1000]})
        raise
    finally:
        _current.pop()
        recorded.end(status)
        if sender is not None:
            sender.finish(wait=last or "DVC_STAGE" not in os.environ)
        elif recorded.on:
            _deliver_rest()


def _deliver_rest() -> None:
    from viker.tracking.deliver import deliver

    try:
        deliver(tracking_uri())
    except Exception as error:  # stores raise what they like; the stage is done, and its records stay for sync
        log.warning("tracking: %s", without_secrets(str(error))[:300])


def current() -> Stage | None:
    """Return the stage that runs, where one records."""
    return _current[-1] if _current and _current[-1].on else None


def log_metrics(values: Mapping[str, Any], step: int, run: int = STAGE) -> None:
    """Record numbers of the stage that runs, at a step of its training; without one, nothing happens."""
    running = current()
    if running is not None:
        running.metrics(values, step, run)
