"""What a stage tells MLflow: written to the outbox, published while the stage runs or when it is over.

Neither a server that is down nor an error in what is logged touches the stage.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from viker.core.files import read_json, sha256_path
from viker.core.provenance import package_versions
from viker.core.redact import without_secrets
from viker.tracking.connection import explained, no_retries, tracking_uri
from viker.tracking.flatten import flatten, numbers, text
from viker.tracking.identity import dvc_hashes, lineage, sweep_run
from viker.tracking.outbox import append, create, keep, outbox
from viker.tracking.publish import Publisher

STAGE, PIPELINE = -1, -2
"""Which run a record is about, counted from the innermost."""
TIMEOUT = 20
"""Seconds that MLflow has to answer a request of a stage that can do without it."""
PAUSE = 5.0
"""Seconds between two publications while a stage runs."""
REQUIRED_PATIENCE = 600.0
"""Seconds that a stage that can't do without MLflow waits for another process to finish publishing."""

log = logging.getLogger(__name__)


class Stage:
    """The records of a running stage. Recording never raises: what can't be written is lost with one warning."""

    def __init__(self, name: str, runs: Callable[[], list[dict[str, Any]]], experiment: str, required: bool) -> None:
        """Create the journal about ``runs``, unless tracking is off or this is not the first of several processes."""
        self.journal = outbox() / f"{time.time_ns() // 1000}-{os.getpid()}-{name}"  # they sort by time
        self.publisher = Publisher(tracking_uri(), self.journal)
        self._stream: int | None = None
        off = os.environ.get("VIKER_TRACKING") == "off" and not required
        if off or os.environ.get("RANK", "0") != "0":
            return
        with self._safely():
            self._stream = create(self.journal, {"experiment": experiment, "runs": runs()})

    @property
    def on(self) -> bool:
        """Return whether anything is recorded."""
        return self._stream is not None

    def metrics(self, values: Mapping[str, Any], step: int = 0, run: int = STAGE) -> None:
        """Record the finite numbers of nested values by dotted name."""
        if metrics := numbers(values):
            self._add({"metrics": metrics, "step": step, "run": run})

    def params(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record nested values as parameters by dotted name."""
        self._add({"params": {name: text(value) for name, value in flatten(values).items()}, "run": run})

    def tags(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record tags."""
        self._add({"tags": {name: text(value) for name, value in values.items()}, "run": run})

    def artifact(self, path: Path, folder: str = "", run: int = STAGE) -> None:
        """Record a file, or the files of a folder, as they are now; a missing one is left out."""
        with self._safely():
            if self.on and path.exists():
                self._add({"artifact": keep(self.journal, path), "folder": folder, "run": run})

    def data(self, prepared: Path) -> None:
        """Record the prepared data as inputs, one data set per split, and as tags of the pipeline's run."""
        with self._safely():
            if not self.on:
                return
            manifest = read_json(prepared / "manifest.json", "prepare")
            tags = {"data_sha256": sha256_path(prepared / "manifest.json"), "data": manifest["source"]}
            if manifest.get("requests"):
                tags["requests"] = ", ".join(manifest["requests"])
            self.tags(tags, PIPELINE)
            for split, counts in manifest["counts"].items():
                digest, source = manifest["hashes"][f"{split}.parquet"], f"{prepared.as_posix()}/{split}.parquet"
                profile = {key: value for key, value in counts.items() if isinstance(value, int)}
                for run in (STAGE, PIPELINE):
                    self._add({"data": split, "digest": digest, "source": source, "profile": profile, "run": run})

    def deliver(self) -> tuple[Any, str]:
        """Publish now; return MLflow's client and the id of the pipeline's run.

        Raises:
            UserError: MLflow does not answer or does not take it.
        """
        with explained(self.publisher.uri, "the records were not taken", "They are kept"):
            self.publisher.publish(REQUIRED_PATIENCE)
        return self.publisher.client, self.publisher.run_ids[PIPELINE]

    def publish(self) -> None:
        """Publish what is recorded if MLflow answers; otherwise it waits in the outbox."""
        try:
            self.publisher.publish()
        except ImportError:
            pass  # an image without MLflow or its database drivers: a stage that has them publishes
        except Exception as error:  # stores raise what they like; the stage is done
            reason = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
            log.warning("tracking: not sent (%s); 'viker track sync' sends what waits in %s", reason, outbox())

    def end(self, status: str) -> None:
        """Record how the stage ended, FINISHED, FAILED or KILLED, and close the journal."""
        self._add({"end": status})
        if self._stream is not None:
            os.close(self._stream)

    def _add(self, record: Mapping[str, Any]) -> None:
        with self._safely():
            if self._stream is not None:
                append(self._stream, record)

    @contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a full disk, a value that JSON can't hold: hours of training don't end for it
            self._stream = None
            log.warning("tracking: %s; nothing more of this stage is recorded", error)


_running: list[Stage] = []


@contextmanager
def stage(
    name: str,
    values: Mapping[str, Any],
    params_file: Path,
    live: bool = False,
    last: bool = False,
    required: bool = False,
) -> Iterator[Stage]:
    """Record a stage: a run of MLflow below that of the pipeline, which ends as the block does.

    Args:
        name: the stage's name.
        values: all of params.yaml.
        params_file: where they come from; the work tree around it tells which pipeline run this is.
        live: whether to publish while the stage runs, for one that takes long.
        last: whether no later stage of the pipeline would publish the records.
        required: whether the stage can't do without MLflow: it publishes with ``deliver``, whatever VIKER_TRACKING is.
    """
    recorded = Stage(name, lambda: lineage(name, values, params_file), values["register"]["experiment"], required)
    if recorded.on:
        recorded._add({"file": "params.yaml", "text": params_file.read_text(encoding="utf-8")})
        recorded.tags(package_versions())
        recorded.tags(dvc_hashes(params_file.resolve().parent), PIPELINE)
    # Loading MLflow takes seconds: a short stage that DVC runs leaves its records to the next that publishes.
    publishes = live or last or required or "DVC_STAGE" not in os.environ
    with nullcontext() if required else no_retries(TIMEOUT), _recording(recorded, live, publishes):
        yield recorded


@contextmanager
def sweep(key: str, values: Mapping[str, Any]) -> Iterator[Stage]:
    """Record a sweep: the run above those of its combinations."""
    recorded = Stage("sweep", lambda: [sweep_run(key)], values["register"]["experiment"], required=False)
    with no_retries(TIMEOUT), _recording(recorded, live=True, publishes=True):
        yield recorded


def log_metrics(values: Mapping[str, Any], step: int, run: int = STAGE) -> None:
    """Record numbers of the running stage, at a step of its training; without one, nothing happens."""
    if _running:
        _running[-1].metrics(values, step, run)


@contextmanager
def _recording(recorded: Stage, live: bool, publishes: bool) -> Iterator[None]:
    _running.append(recorded)
    status = "FAILED"
    try:
        with _publishing(recorded.publisher) if live and recorded.on else nullcontext():
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
        _running.pop()
        recorded.end(status)
        if publishes and recorded.on:
            recorded.publish()


@contextmanager
def _publishing(publisher: Publisher) -> Iterator[None]:
    """Publish every few seconds while the block runs, with the machine's load; what fails is published later."""
    with suppress(ImportError):
        import mlflow  # noqa: F401 - here: two threads that import at the same time can see half a module
    over = threading.Event()
    thread = threading.Thread(target=_publish_until, args=(publisher, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _publish_until(publisher: Publisher, over: threading.Event) -> None:
    monitor: Any = None
    while not over.wait(PAUSE):
        with suppress(Exception):
            publisher.publish(patience=0)
            if monitor is None:
                from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

                logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # best effort, unlike the records
                monitor = SystemMetricsMonitor(
                    publisher.run_ids[STAGE], resume_logging=True, tracking_uri=publisher.uri
                )
                monitor.start()
    if monitor is not None:
        monitor.finish()
