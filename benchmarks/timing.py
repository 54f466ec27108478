"""How long a piece of work takes."""

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Run ``work`` and return how long it took, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
