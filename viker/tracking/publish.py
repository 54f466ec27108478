"""The publisher: brings MLflow to what the outbox says.

To publish again changes nothing: runs are found by their key, points of a curve by their step, and everything else
replaces itself. So a publisher that was cut off needs no bookmark; the next one starts from what MLflow has.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

from viker.core.redact import without_secrets
from viker.tracking.connection import connect, experiment_id
from viker.tracking.outbox import is_open, outbox, publishing, records, remove, waiting

KEY_TAG = "viker.key"
"""The tag by which a run is found again; no two runs have the same."""
PATIENCE = 60.0
"""Seconds to wait for another process that publishes."""
SETTLED = 2.0
"""Seconds after which two publishers that created the same run at once have deleted theirs."""
BATCH, SMALL_BATCH = 1000, 100
"""The most metrics, and the most parameters or tags, that MLflow takes in one request."""
DIGEST = 36
"""The most characters of a data set's digest in MLflow."""
REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")
"""MLflow's errors that no retry can mend."""

log = logging.getLogger(__name__)


@contextmanager
def _refusable() -> Iterator[None]:
    """Let MLflow refuse for good what is sent in the block: that does not hold up the rest."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in REFUSED:
            raise
        log.warning("tracking: MLflow does not take a record: %s", without_secrets(str(error))[:300])


class Publisher:
    """Publishes an outbox to one MLflow; of running stages only ``journal``, the one of its own process."""

    def __init__(self, uri: str, journal: Path | None = None) -> None:
        """Remember where to; nothing is sent yet."""
        self.uri, self.journal = uri, journal
        self.client: Any = None
        self._own: _Delivery | None = None

    @property
    def run_ids(self) -> list[str]:
        """Return the ids of the runs of ``journal``, outermost first; empty before it was published."""
        return self._own.ids if self._own else []

    def publish(self, patience: float = PATIENCE) -> int:
        """Send what is new, oldest journal first, and return how many records that were.

        Raises:
            UserError: MLflow does not answer.
            TimeoutError: another process has been publishing for ``patience`` seconds.
            Exception: MLflow stopped answering. What it does not have yet stays in the outbox.
        """
        folder = self.journal.parent if self.journal else outbox()
        if not waiting(folder):
            return 0
        with publishing(folder, patience):
            try:
                self.client = self.client or connect(self.uri)
                return sum(self._publish(journal) for journal in waiting(folder))
            except BaseException:
                self.client = self._own = None  # whether the last request was carried out is not known
                raise

    def _publish(self, journal: Path) -> int:
        if journal == self.journal:
            self._own = self._own or _Delivery(self.client, self.uri, journal)
            return self._own.send()
        return 0 if is_open(journal) else _Delivery(self.client, self.uri, journal).send()


class _Delivery:
    """One journal on its way to MLflow."""

    def __init__(self, client: Any, uri: str, journal: Path) -> None:
        self.client, self.uri, self.journal = client, uri, journal
        self.offset, self.ids = 0, list[str]()
        self.last_steps: dict[tuple[str, str], int] = {}
        self.points: dict[str, list[Any]] = defaultdict(list)

    def send(self) -> int:
        """Send what is new; end the runs and remove the journal once the stage is over."""
        over, count, status, last = not is_open(self.journal), 0, "KILLED", None
        for record, offset in records(self.journal, self.offset):
            run_id = self.ids[record.get("run", -1)] if self.ids else ""
            if "runs" in record:
                self._open_runs(record)
            elif not run_id:
                continue  # the first record was torn: nothing says which runs these are about
            elif "metrics" in record:
                self._collect(run_id, record)
            elif "end" in record:
                status = record["end"]
            else:
                self._flush()
                self._send(run_id, record)
            self.offset, count, last = offset, count + 1, record["time"]
        self._flush()
        if over and self.ids:
            for run_id in self.ids[-2:]:
                self.client.set_terminated(run_id, status, last)
            remove(self.journal)
        return count

    def _open_runs(self, head: Mapping[str, Any]) -> None:
        """Find the journal's runs or create them, and mark those that a stage goes on in as running."""
        experiment = experiment_id(self.client, self.uri, head["experiment"])
        for run in head["runs"]:
            parent = {"mlflow.parentRunId": self.ids[-1]} if self.ids else {}
            tags = {**run["tags"], **parent, KEY_TAG: run["key"]}
            while not (run_ids := self._with_key(experiment, run["key"])):
                new = self.client.create_run(experiment, start_time=head["time"], tags=tags, run_name=run["name"])
                run_ids = [new.info.run_id]
                if self._with_key(experiment, run["key"]) == run_ids:
                    break
                self.client.delete_run(run_ids[0])  # two outboxes at once: the one that finds itself alone stays
                # Until the other one is kept or deleted; unlike the global generator, this one has no seed.
                time.sleep(SETTLED + SystemRandom().random())
            run_id = run_ids[0]
            self.ids.append(run_id)
            self._send(run_id, {"tags": run["tags"] | parent})
            self._send(run_id, {"params": run["params"]})
        for run_id in self.ids[-2:]:
            self.client.update_run(run_id, status="RUNNING")

    def _with_key(self, experiment: str, key: str) -> list[str]:
        query, order = f"tags.`{KEY_TAG}` = '{key}'", ["attributes.start_time ASC", "attributes.run_id ASC"]
        return [str(run.info.run_id) for run in self.client.search_runs([experiment], query, order_by=order)]

    def _collect(self, run_id: str, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric

        for name, value in record["metrics"].items():
            if record["step"] == 0 or record["step"] > self._last_step(run_id, name):
                self.points[run_id].append(Metric(name, value, record["time"], record["step"]))
        if len(self.points[run_id]) >= BATCH:
            self._flush()

    def _last_step(self, run_id: str, name: str) -> int:
        """Return the last step that the curve had before this journal: a stage resumes before where it was killed."""
        if (run_id, name) not in self.last_steps:
            history = self.client.get_metric_history(run_id, name)
            self.last_steps[run_id, name] = max((point.step for point in history), default=-1)
        return self.last_steps[run_id, name]

    def _flush(self) -> None:
        for run_id, points in self.points.items():
            for batch in _batches(points, BATCH):
                with _refusable():
                    self.client.log_batch(run_id, metrics=batch)
        self.points.clear()

    @_refusable()
    def _send(self, run_id: str, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        for batch in _batches([RunTag(*pair) for pair in record.get("tags", {}).items()], SMALL_BATCH):
            self.client.log_batch(run_id, tags=batch)
        for batch in _batches([Param(*pair) for pair in record.get("params", {}).items()], SMALL_BATCH):
            self.client.log_batch(run_id, params=batch)
        if "text" in record:
            self.client.log_text(run_id, record["text"], record["file"])
        if "artifact" in record:
            self._send_files(run_id, self.journal / record["artifact"], record["folder"])
        if "data" in record:
            source, profile = json.dumps({"uri": record["source"]}), json.dumps(record["profile"])
            dataset = Dataset(record["data"], record["digest"][:DIGEST], "local", source, profile=profile)
            context = InputTag("mlflow.data.context", record["data"])
            self.client.log_inputs(run_id, [DatasetInput(dataset, [context])])

    def _send_files(self, run_id: str, path: Path, folder: str) -> None:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            place = Path(folder) / file.relative_to(path).parent
            self.client.log_artifact(run_id, str(file), place.as_posix() if place != Path() else None)


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
