"""A lock in the registry itself, made of nothing but tags, so that it works on every MLflow server.

MLflow has no compare-and-set, but tags that one can read and write are all that Lamport's bakery algorithm needs
(L. Lamport, "A New Solution of Dijkstra's Concurrent Programming Problem", 1974): whoever waits writes a tag of their
own with a number larger than those already there; the smallest number goes first, among equals the smaller name.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viker.core.errors import UserError

PREFIX = "lock."
CHOOSING = "choosing"
PATIENCE = 30.0
"""Seconds after which an unchanged tag is taken for that of a dead process; holding the lock takes about one."""
PAUSE = 0.1


@contextmanager
def lock(client: Any, model: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of a registered model while the block runs; yield a function that checks that it is still held.

    A process that was killed leaves its tag behind. On this machine the process id tells that it is dead; elsewhere its
    tag must stay unchanged for ``PATIENCE`` seconds of watching, so that clocks don't have to agree.

    Raises UserError: by the check: the lock was taken away because this process was suspended for that long.
    """
    mine = f"{PREFIX}{_machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"

    def still_mine() -> None:
        if mine not in _tickets(client, model):
            raise UserError(f"{model}: this process was suspended for too long, and another took the lock. Try again.")

    try:
        client.set_registered_model_tag(model, mine, CHOOSING)
        taken = [int(value) for value in _tickets(client, model).values() if value.isdigit()]
        number = max(taken, default=0) + 1
        client.set_registered_model_tag(model, mine, str(number))
        _wait(client, model, mine, number)
        still_mine()
        yield still_mine
    finally:
        client.delete_registered_model_tag(model, mine)


def _wait(client: Any, model: str, mine: str, number: int) -> None:
    watched: dict[tuple[str, str], float] = {}
    while True:
        others = ((name, value) for name, value in _tickets(client, model).items() if name != mine)
        before = [(n, value) for n, value in others if not value.isdigit() or (int(value), n) < (number, mine)]
        if not before:
            return
        now = time.monotonic()
        watched = {ticket: watched.get(ticket, now) for ticket in before}
        for (name, _), since in watched.items():
            if _is_dead(name) or now - since > PATIENCE:
                client.delete_registered_model_tag(model, name)
        time.sleep(PAUSE)


def _tickets(client: Any, model: str) -> dict[str, str]:
    tags = client.get_registered_model(model).tags
    return {name: str(value) for name, value in tags.items() if name.startswith(PREFIX)}


def _is_dead(name: str) -> bool:
    machine, pid, _ = name.removeprefix(PREFIX).rsplit(".", 2)
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError as error:  # or a process of another user, which is alive
        return isinstance(error, ProcessLookupError)
    return False


def _machine() -> str:
    """Return the host and, where it has them, the namespace of processes, within which a process id is unique."""
    namespace = Path("/proc/self/ns/pid")
    inside = namespace.stat().st_ino if namespace.exists() else uuid.getnode()
    return f"{socket.gethostname()}.{inside}"
