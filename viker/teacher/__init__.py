"""The visual teacher: one next-token distribution per answer token, from the frozen model shown irrelevant images."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viker.teacher.heat_map import explain as explain


def __getattr__(name: str) -> Any:
    """Import ``explain`` when it is asked for."""
    if name == "explain":
        return import_module("viker.teacher.heat_map").explain
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
