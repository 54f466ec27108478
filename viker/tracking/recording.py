"""What a stage tells MLflow: written to the outbox, published while the stage runs or when it is over.

Neither a server that is down nor an error in what is logged touches the stage.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.core.manifest import read_manifest
from viker.core.mlflow_store import explained, tracking_uri
from viker.core.nested import flatten, numbers
from viker.tracking.identity import lineage
from viker.tracking.outbox import append, create, keep, outbox
from viker.tracking.publish import Publisher
from viker.tracking.published import params_text, published_params

if TYPE_CHECKING:
    from viker.tracking.reporters import Reporters

STAGE, PIPELINE = -1, -2
"""Which run a record is about, counted from the innermost."""
PAUSE = 5.0  # seconds between two publications while a stage runs
REQUIRED_PATIENCE = 600.0  # seconds that a stage that can't do without MLflow waits for another publisher

log = logging.getLogger(__name__)
_running: list["Stage"] = []


class Stage:
    """The records of a stage, or of a sweep, while the block runs: a run of MLflow, which ends as the block does.

    Args:
        name: the stage's name.
        values: all of params.yaml.
        file: where they come from; the work tree around it tells which pipeline run this is.
        live: whether to publish while it runs, for one that takes long or is the last.
        required: whether it can't do without MLflow: it publishes with ``deliver``, whatever VIKER_TRACKING is.
        sweep: the key of the sweep that this is.
        also: where its curves go besides, see ``viker.tracking.reporters``.
    """

    def __init__(
        self,
        name: str,
        values: Any,
        file: Path,
        live: bool = False,
        required: bool = False,
        sweep: str = "",
        also: "Reporters | None" = None,
    ) -> None:
        """Create the journal, unless tracking is off or this is not the first of several processes."""
        self.on = (required or os.environ.get("VIKER_TRACKING") != "off") and os.environ.get("RANK", "0") == "0"
        self.live = live and self.on
        # Loading MLflow takes seconds: a short stage that DVC runs leaves its records to the next that publishes.
        self.publishes = live or required or "DVC_STAGE" not in os.environ
        self.journal = outbox() / f"{time.time_ns() // 1000}-{os.getpid()}-{name}"  # they sort by time
        self.stream: BinaryIO | None = None
        self.also, self.runs = also, list[dict[str, Any]]()
        self.publisher = Publisher(tracking_uri(), self.journal)
        self.over, self.thread = threading.Event(), threading.Thread(target=self._publish_live, daemon=True)
        experiment, self.redact = values["register"]["experiment"], values["register"]["publish"] == "redacted"
        self._record(lambda: {"experiment": experiment, "runs": self._runs(name, values, file, sweep)})
        self._record(lambda: {"file": "params.yaml", "text": self._text(values, file.read_text(encoding="utf-8"))})

    def metrics(self, values: Mapping[str, Any], step: int = 0, run: int = STAGE) -> None:
        """Record the finite numbers of nested values by dotted name; of a ``step`` above 0, they are a curve's."""
        self._record(lambda: {"metrics": numbers(values), "step": step}, run)
        if self.on and self.also and run == STAGE and step:
            self.also.log(self.runs, numbers(values), step)

    def params(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record sections of params.yaml as parameters by dotted name."""
        self._record(lambda: {"params": flatten(self._public(values))}, run)

    def tags(self, values: Mapping[str, Any], run: int = STAGE) -> None:
        """Record tags."""
        self._record(lambda: {"tags": values}, run)

    def artifact(self, path: Path, folder: str = "", run: int = STAGE) -> None:
        """Record a file, or the files of a folder, as they are now; a missing one is left out.

        With ``register.publish: redacted`` it is recorded without what it holds of people, see ``published``.
        """
        self._record(lambda: {"files": keep(self.journal, path, folder, self.redact)} if path.exists() else {}, run)

    def data(self, prepared: Path) -> None:
        """Record the prepared data as inputs, one data set per split, with tags that say where it comes from."""
        for run in (STAGE, PIPELINE):
            self._record(lambda: _prepared(prepared), run)

    def deliver(self, patience: float | None = None) -> tuple[Any, str]:
        """Publish now; return MLflow's client and the id of the pipeline's run.

        Raises:
            UserError: MLflow does not answer or does not take it.
            ImportError: MLflow, or what it reaches the store with, is not installed.
        """
        with explained(self.publisher.uri, "the records were not taken", "They are kept"):
            self.publisher.publish(REQUIRED_PATIENCE if patience is None else patience)
            return self.publisher.client, self.publisher.run_ids[PIPELINE:][0]

    def __enter__(self) -> Self:
        """Make this the stage that ``log_metrics`` records."""
        _running.append(self)
        if self.live:
            with suppress(ImportError):
                import mlflow  # noqa: F401 - here: two threads that import at the same time can see half a module
            self.thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Record how the block ended, and publish if MLflow answers; otherwise the records wait in the outbox."""
        _running.remove(self)
        if self.live:
            self.over.set()
            self.thread.join()
        failed = isinstance(error, Exception)
        if self.also:
            self.also.close(failed)
        if failed:
            said = "see the log of the stage" if self.redact else error  # a message may quote the data
            self.tags({"error": f"{type(error).__name__}: {said}"[:1000]})
        self._record(lambda: {"end": "FAILED" if failed else "KILLED" if error else "FINISHED"})
        if self.stream:
            self.stream.close()
        with suppress(ImportError):  # an image without MLflow or its database drivers: a stage that has them publishes
            try:
                if self.on and self.publishes:
                    self.deliver(patience=60)
            except UserError as error:
                log.warning("tracking: %s 'viker track sync' sends what waits in %s.", error, outbox())

    def _public(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return published_params(values) if self.redact and "prepare" in values else values

    def _text(self, values: Mapping[str, Any], text: str) -> str:
        return params_text(values, text) if self.redact else text

    def _runs(self, name: str, values: Mapping[str, Any], file: Path, sweep: str) -> list[dict[str, Any]]:
        """Return the runs, identified by the values as they are, with those that are published as parameters."""
        runs = lineage(name, values, file, sweep)
        for run in runs:
            if self.redact and "prepare.forget_ids" in run["params"]:
                run["params"]["prepare.forget_ids"] = published_params(values)["prepare"]["forget_ids"]
        self.runs = runs
        return runs

    def _record(self, make: Callable[[], Mapping[str, Any]], run: int = STAGE) -> None:
        """Write a record; what can't be written is lost with one warning: hours of training don't end for it."""
        try:
            if self.on:
                record = {**make(), "run": run}
                self.stream = self.stream or create(self.journal)
                append(self.stream, record)
        except Exception as error:  # a full disk, a value that JSON can't hold
            self.on = False
            log.warning("tracking: %s; nothing more of this stage is recorded", error)

    def _publish_live(self) -> None:
        """Publish every few seconds, with the machine's load; what fails is published later."""
        monitor: Any = None
        while not self.over.wait(PAUSE):
            with suppress(Exception):
                self.publisher.publish(patience=0)
                if monitor is None:
                    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

                    logging.getLogger("mlflow.system_metrics").setLevel(
                        logging.ERROR
                    )  # best effort, unlike the records
                    run_id, uri = self.publisher.run_ids[STAGE], self.publisher.uri
                    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
                    monitor.start()
        if monitor is not None:
            monitor.finish()


def log_metrics(values: Mapping[str, Any], step: int, run: int = STAGE) -> None:
    """Record numbers of the running stage, at a step of its training; without one, nothing happens."""
    if _running:
        _running[-1].metrics(values, step, run)


def _prepared(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    hashes, requests = manifest["hashes"], ", ".join(manifest.get("requests", ()))
    return {
        "tags": {
            "data": manifest["source"],
            "data_sha256": sha256_path(folder / "manifest.json"),
            "requests": requests,
        },
        "data": [
            {"name": split, "digest": hashes[f"{split}.parquet"], "uri": f"{folder}/{split}.parquet", "profile": counts}
            for split, counts in manifest["counts"].items()
        ],
    }
