"""``python -m viker.tracking.sender JOURNAL``: sends what its stage records, while the stage runs.

It tries again, after ever longer pauses, where MLflow does not answer. Its standard input ends when the stage does,
even if that is killed; then it sends the rest, or leaves it to ``viker track sync``.
"""

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # a request is tried again here, where it is known what is safe
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from viker.tracking.connection import connect, tracking_uri, without_secrets
from viker.tracking.deliver import deliver_each
from viker.tracking.journal import RECORDS, append, is_open, now

PAUSE = 2.0
"""Seconds between two looks at what is new."""
LONGEST_PAUSE = 30.0
SAMPLE = 10.0
"""Seconds between two looks at the machine."""
PATIENCE = 10.0
"""Seconds without an answer, once the stage is over, after which the rest is left."""


def main(journal: Path) -> int:
    """Send until the stage is over and all has arrived; return 1 where something is left."""
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    threading.Thread(target=_Machine(journal).watch, args=(over,), daemon=True).start()
    uri, client, pause = tracking_uri(), None, PAUSE
    answered = ended = time.monotonic()
    while True:
        last = over.is_set()
        try:
            client = client or connect(uri)
            for _ in deliver_each(client, uri, journal.parent):
                answered = time.monotonic()
            pause = PAUSE
            if last and not (journal / RECORDS).exists():
                return 0
        except ImportError:
            return 0  # an image without MLflow: the outbox waits for a stage that has it
        except Exception as error:  # stores raise what they like: tried again, and kept at last
            if last and time.monotonic() - max(answered, ended) > PATIENCE:
                problem = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
                _say(f"not sent ({problem}); the records are in {journal.parent}: 'viker track sync' sends them")
                return 1
            pause = min(2 * pause, LONGEST_PAUSE)
        if not last:
            over.wait(pause)
            ended = time.monotonic()
        else:
            time.sleep(min(pause, PATIENCE / 5))


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.buffer.read()
    over.set()


class _Machine:
    """The machine's load as MLflow measures it, written to the journal like all else."""

    def __init__(self, journal: Path) -> None:
        self.journal, self.next = journal, time.monotonic() + SAMPLE / 2
        self.monitors: list[Any] | None = None

    def watch(self, over: threading.Event) -> None:
        """Look until the stage is over, however long sending takes meanwhile."""
        while not over.wait(1.0):
            self.look()

    def look(self) -> None:
        if time.monotonic() < self.next or not (self.journal / RECORDS).exists() or not is_open(self.journal):
            return
        self.next = time.monotonic() + SAMPLE
        try:
            self._write({f"system/{name}": value for name, value in self._measure().items()})
        except Exception:  # an image without psutil, a GPU that doesn't answer: the stage's own records go on
            self.next = math.inf

    def _measure(self) -> dict[str, float]:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        if self.monitors is None:
            self.monitors = SystemMetricsMonitor("", tracking_uri=tracking_uri()).monitors
        values: dict[str, float] = {}
        for monitor in self.monitors:
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return values

    def _write(self, values: Mapping[str, float]) -> None:
        if values:
            stream = os.open(self.journal / RECORDS, os.O_WRONLY | os.O_APPEND)
            append(stream, {"time": now(), "metrics": dict(values), "step": int(time.time()), "run": -1})
            os.close(stream)


def _say(text: str) -> None:
    print(f"warning: tracking: {text}", file=sys.stderr)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    sys.exit(main(Path(sys.argv[1])))
