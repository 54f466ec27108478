"""How many samples fit a memory."""

from collections.abc import Callable

RESERVE = 0.1
"""Share of a GPU's memory that is left for the driver and for fragmentation."""


def fitting(wanted: int, free: int, needed: Callable[[int], int]) -> int:
    """Return how many samples a pass begins with: ``wanted``, or its half, quarter, ... that fits; 1 at least.

    By halves, so that a little more or less free memory seldom changes the size, and with it how sums are rounded.

    Args:
        wanted: the most samples.
        free: the free bytes, of which ``RESERVE`` are left.
        needed: the bytes that a pass of so many samples needs.
    """
    size = wanted
    while size > 1 and needed(size) > (1 - RESERVE) * free:
        size //= 2
    return size
