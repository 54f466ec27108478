"""From the outbox to MLflow, once each.

A record that was sent, but not noted as sent, is sent again and changes nothing: runs are found by their key, points of
a curve by their step, all else replaces itself.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from viker.tracking.connection import connect, experiment_id, without_secrets
from viker.tracking.identity import KEY_TAG
from viker.tracking.journal import (
    RECORDS,
    alive,
    append,
    is_open,
    now,
    outbox,
    read_sent,
    records,
    sending,
    waiting,
    write_sent,
)

BATCH, SMALL_BATCH = 1000, 100
"""The most metrics, and the most parameters or tags, that MLflow takes in one request."""
PAUSE = 0.2
"""Seconds between two looks at whether another sender has ended."""
DIGEST = 36
"""The most characters of a data set's digest in MLflow."""
REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")
"""MLflow's errors that no later try can mend."""

log = logging.getLogger(__name__)


def deliver(uri: str, folder: Path | None = None) -> int:
    """Send all that waits in an outbox, and return how many records that were.

    Raises:
        UserError: MLflow does not answer. What was not sent stays.
        Exception: it stopped to answer.
    """
    place = folder or outbox()
    return sum(deliver_each(connect(uri), uri, place)) if waiting(place) else 0


def deliver_each(client: Any, uri: str, folder: Path) -> Iterator[int]:
    """Send the journals of an outbox, oldest first, and yield after each how many records that were.

    While another sender has a journal, the later ones of the same run wait: of two parts of a curve that are sent at
    once, neither would know which points the other has.
    """
    elsewhere: set[str] = set()
    for journal in waiting(folder):
        head, _ = next(records(journal, 0), ({}, 0))
        run = head["runs"][-1]["key"] if head else ""
        if run in elsewhere:
            continue
        with sending(journal) as mine:
            if not mine:
                elsewhere.add(run)
                continue
            yield _deliver(client, uri, journal)


def _deliver(client: Any, uri: str, journal: Path) -> int:
    """Send what is new of one journal and return how many records; remove it once its stage is over."""
    if read_sent(journal).get("arrived"):
        return 0
    if not is_open(journal):
        _close(journal)
    return _Delivery(client, uri, journal).run()


def deliver_now(uri: str, journal: Path, patience: float = 600.0) -> str:
    """Send what a journal holds, all that waits before it too, and return the id of the pipeline's run it is about.

    Another sender may have the journal, or an earlier one of the same run: its turn comes after that.

    Args:
        uri: where to.
        journal: of a stage that runs.
        patience: seconds that another sender may take.

    Raises:
        UserError: MLflow does not answer.
        TimeoutError: another sender doesn't end.
        Exception: it stopped to answer.
    """
    end = time.monotonic() + patience
    while True:
        deliver(uri, journal.parent)
        sent = read_sent(journal)
        if sent.get("ids") and next(records(journal, sent["offset"]), None) is None:
            return str(sent["ids"][-2])
        if time.monotonic() > end:
            raise TimeoutError(f"another sender has had the records of this run for {patience:.0f} seconds")
        time.sleep(PAUSE)


def _close(journal: Path) -> None:
    """End a journal whose stage was killed before it could."""
    ended = any("end" in record for record, _ in records(journal, 0))
    if not ended:
        stream = os.open(journal / RECORDS, os.O_WRONLY | os.O_APPEND)
        os.write(stream, b"\n")  # ends a line that was cut off
        append(stream, {"time": now(), "end": "KILLED"})
        os.close(stream)


class _Delivery:
    def __init__(self, client: Any, uri: str, journal: Path) -> None:
        self.client, self.journal, self.uri = client, journal, without_secrets(uri)
        sent = read_sent(journal)
        known = sent.get("uri") == self.uri
        self.offset: int = sent["offset"] if known else 0
        self.ids: list[str] = sent["ids"] if known else []
        self.made: set[str] = set()
        self.steps: dict[tuple[str, str], int] = {}
        self.experiment = ""
        self.real_uri = uri

    def run(self) -> int:
        count, over = 0, False
        found = records(self.journal, 0)
        head, after = next(found, ({}, 0))
        if not head:
            return 0
        if not self.ids:
            self._open(head)
            self._note(after)
            count += 1
        for kind, group in groupby(records(self.journal, self.offset), key=lambda pair: _kind(pair[0])):
            size = BATCH // 20 if kind[0] == "metrics" else 1
            while several := list(islice(group, size)):
                self._try(kind, [record for record, _ in several])
                self._note(several[-1][1])
                count += len(several)
                over = over or kind[0] == "end"
        if over:
            write_sent(self.journal, {"arrived": True})
            shutil.rmtree(self.journal, ignore_errors=True)
        return count

    def _note(self, offset: int) -> None:
        self.offset = offset
        write_sent(self.journal, {"uri": self.uri, "offset": offset, "ids": self.ids})

    def _open(self, head: Mapping[str, Any]) -> None:
        """Find the runs that the journal is about, or make them, and say that they go on."""
        self.experiment = experiment_id(self.client, self.real_uri, head["experiment"])
        ids: list[str] = []
        for described in head["runs"]:
            ids.append(self._find_or_make(described, ids[-1] if ids else None, head["time"]))
            tags = described["tags"]
            self._batches(ids[-1], described["params"], tags)
        for run_id in ids[-2:]:
            if run_id not in self.made:
                self.client.update_run(run_id, status="RUNNING")
        self.ids = ids

    def _find_or_make(self, described: Mapping[str, Any], parent: str | None, time: int) -> str:
        found = self._with_key(described["key"])
        if found:
            return found[0]
        tags = {**described["tags"], KEY_TAG: described["key"]}
        if parent:
            tags["mlflow.parentRunId"] = parent
        made = self.client.create_run(self.experiment, start_time=time, tags=tags, run_name=described["name"])
        mine = str(made.info.run_id)
        self.made.add(mine)
        first = self._with_key(described["key"])[0]
        if first != mine:  # two senders at once: the one that began first stays
            self.client.delete_run(mine)
        return first

    def _with_key(self, key: str) -> list[str]:
        query, order = f"tags.`{KEY_TAG}` = '{key}'", ["attributes.start_time ASC", "attributes.run_id ASC"]
        return [str(run.info.run_id) for run in self.client.search_runs([self.experiment], query, order_by=order)]

    def _batches(self, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        for batch in _in_batches(list(tags.items()), SMALL_BATCH):
            self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in batch])
        for batch in _in_batches(list(params.items()), SMALL_BATCH):
            self._refusable(lambda batch=batch: self.client.log_batch(run_id, params=[Param(*pair) for pair in batch]))

    def _try(self, kind: tuple[str, int], found: list[dict[str, Any]]) -> None:
        self._refusable(lambda: getattr(self, f"_send_{kind[0]}")(self.ids[kind[1]], found))

    def _refusable(self, action: Any) -> None:
        from mlflow.exceptions import MlflowException

        try:
            action()
        except (MlflowException, FileNotFoundError) as error:
            if isinstance(error, MlflowException) and error.error_code not in REFUSED:
                raise
            log.warning("tracking: MLflow does not take a record: %s", without_secrets(str(error))[:300])

    def _send_metrics(self, run_id: str, found: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        points = [
            Metric(name, value, record["time"], record["step"])
            for record in found
            for name, value in record["metrics"].items()
            if record["step"] == 0 or record["step"] > self._last_step(run_id, name)
        ]
        for batch in _in_batches(points, BATCH):
            self.client.log_batch(run_id, metrics=batch)

    def _last_step(self, run_id: str, name: str) -> int:
        """Return the last step that the curve had before this delivery; a stage goes on before where it was killed."""
        if run_id in self.made:
            return -1
        if (run_id, name) not in self.steps:
            history = self.client.get_metric_history(run_id, name)
            self.steps[run_id, name] = max((point.step for point in history), default=-1)
        return self.steps[run_id, name]

    def _send_params(self, run_id: str, found: list[dict[str, Any]]) -> None:
        for record in found:
            self._batches(run_id, record["params"], {})

    def _send_tags(self, run_id: str, found: list[dict[str, Any]]) -> None:
        for record in found:
            self._batches(run_id, {}, record["tags"])

    def _send_artifact(self, run_id: str, found: list[dict[str, Any]]) -> None:
        for record in found:
            path = self.journal / record["artifact"]
            for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
                inside = file.relative_to(path).parent.as_posix() if path != file else "."
                place = "/".join(part for part in (record["folder"], inside) if part not in ("", "."))
                self.client.log_artifact(run_id, str(file), place or None)
                alive(self.journal)

    def _send_file(self, run_id: str, found: list[dict[str, Any]]) -> None:
        for record in found:
            self.client.log_text(run_id, record["text"], record["file"])

    def _send_data(self, run_id: str, found: list[dict[str, Any]]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        for record in found:
            given = record["data"]
            data = Dataset(
                name=given["name"],
                digest=given["digest"][:DIGEST],
                source_type="local",
                source=json.dumps({"uri": given["source"]}),
                profile=json.dumps(given["profile"]),
            )
            self.client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", given["name"])])])

    def _send_end(self, run_id: str, found: list[dict[str, Any]]) -> None:
        for record in found:
            for ended in {run_id: None, self.ids[-2] if len(self.ids) > 1 else run_id: None}:
                self.client.set_terminated(ended, record["end"], record["time"])


def _kind(record: Mapping[str, Any]) -> tuple[str, int]:
    kinds = ("metrics", "params", "tags", "artifact", "file", "data", "end")
    return next(kind for kind in kinds if kind in record), record.get("run", -1)


def _in_batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
