"""The publisher: brings MLflow to what the outbox says.

To publish again changes nothing: runs are found by their key, points of a curve by their step, and everything else
replaces itself. So a publisher that was cut off needs no bookmark; the next one starts from what MLflow has.
"""

import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

from viker.core.mlflow_store import connect, experiment_id
from viker.core.redact import without_secrets
from viker.tracking.outbox import is_open, outbox, publishing, records, remove, waiting
from viker.tracking.views import save_views

KEY_TAG = "viker.key"  # by which a run is found again; no two runs have the same
SETTLED = 2.0  # seconds after which two publishers that created the same run at once have deleted theirs
REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")  # no retry mends them

log = logging.getLogger(__name__)


class Publisher:
    """Publishes an outbox to one MLflow; of running stages only ``journal``, the one of its own process."""

    def __init__(self, uri: str, journal: Path | None = None) -> None:
        """Remember where to; nothing is sent yet."""
        self.uri, self.journal = uri, journal
        self.client: Any = None
        self.run_ids: list[str] = []
        """Of the runs of ``journal``, outermost first, once it was published."""
        self._offset = 0

    def publish(self, patience: float = 60.0) -> int:
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
                return sum(self._publish(journal, journal == self.journal) for journal in waiting(folder))
            except BaseException:
                self.client, self.run_ids, self._offset = None, [], 0  # whether the last request arrived is not known
                raise

    def _publish(self, journal: Path, own: bool) -> int:
        """Send what is new in a journal; end its runs and remove it once the stage is over."""
        from mlflow.entities import Metric

        over = not is_open(journal)
        ids, start = (self.run_ids, self._offset) if own else ([], 0)
        new = list(records(journal, start)) if over or own else []
        points: dict[str, list[Any]] = defaultdict(list)
        for record, _ in new:
            if "runs" in record:
                ids = self._open_runs(record)
            elif ids and "metrics" in record:  # no ids: the first record was torn, which runs this is about is unknown
                points[ids[record["run"]]] += [
                    Metric(_key(name), value, record["time"], record["step"])
                    for name, value in record["metrics"].items()
                ]
            elif ids:
                self._send(ids[record["run"]], record, journal)
        for run_id, curves in points.items():  # a stage resumes at a step before the one where it was killed
            reached = {point.key: point.step for point in self.client.get_run(run_id).data.to_proto().metrics}
            later = [point for point in curves if point.step == 0 or point.step > reached.get(point.key, -1)]
            self._send(run_id, {"points": later})
        if own and new:
            self.run_ids, self._offset = ids, new[-1][1]
        if over and ids:
            last = new[-1][0]
            for run_id in ids[-2:]:
                self.client.set_terminated(run_id, last.get("end", "KILLED"), last["time"])
            remove(journal)
        return len(new)

    def _open_runs(self, head: Mapping[str, Any]) -> list[str]:
        """Find a journal's runs or create them, mark those that its stage continues as running, and return the ids."""
        experiment, ids = experiment_id(self.client, self.uri, head["experiment"]), list[str]()
        save_views(self.client, experiment)
        for run in head["runs"]:
            tags = {**run["tags"], KEY_TAG: run["key"]} | ({"mlflow.parentRunId": ids[-1]} if ids else {})
            while not (with_key := self._with_key(experiment, run["key"])):
                new = self.client.create_run(experiment, start_time=head["time"], tags=tags, run_name=run["name"])
                with_key = [new.info.run_id]
                if self._with_key(experiment, run["key"]) == with_key:
                    break
                self.client.delete_run(new.info.run_id)  # two outboxes at once: the one that finds itself alone stays
                # Until the other one is kept or deleted; unlike the global generator, this one has no seed.
                time.sleep(SETTLED + SystemRandom().random())
            ids.append(with_key[0])
            self._send(ids[-1], {"tags": tags, "params": run["params"]})
        for run_id in ids[-2:]:
            self.client.update_run(run_id, status="RUNNING")
        return ids

    def _with_key(self, experiment: str, key: str) -> list[str]:
        query, order = f"tags.`{KEY_TAG}` = '{key}'", ["attributes.start_time ASC", "attributes.run_id ASC"]
        return [str(run.info.run_id) for run in self.client.search_runs([experiment], query, order_by=order)]

    def _send(self, run_id: str, record: Mapping[str, Any], journal: Path = Path()) -> None:
        """Send a record, or points of curves; if MLflow refuses it for good, that does not hold up the rest."""
        from mlflow.entities import Param, RunTag
        from mlflow.exceptions import MlflowException

        tags = [RunTag(name, _text(value)) for name, value in record.get("tags", {}).items()]
        params = [Param(name, _text(value)) for name, value in record.get("params", {}).items()]
        points = record.get("points", [])
        try:
            for kind, items, most in (("tags", tags, 100), ("params", params, 100), ("metrics", points, 1000)):
                for start in range(0, len(items), most):  # MLflow takes no more in one request
                    self.client.log_batch(run_id, **{kind: items[start : start + most]})
            if "text" in record:
                self.client.log_text(run_id, record["text"], record["file"])
            if "files" in record:
                self.client.log_artifacts(run_id, str(journal / record["files"]))
            if "data" in record:
                self.client.log_inputs(run_id, [_input(**data) for data in record["data"]])
        except MlflowException as error:
            if error.error_code not in REFUSED:
                raise
            log.warning("tracking: MLflow does not take a record: %s", without_secrets(str(error))[:300])


def _key(name: str) -> str:
    """Return a metric's name with an underscore for every character that MLflow allows in no name, such as '|'."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _input(name: str, digest: str, uri: str, profile: Any) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name, digest[:36], "local", json.dumps({"uri": uri}), profile=json.dumps(profile))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", name)])
