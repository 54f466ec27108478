"""ViKeR unlearning as a library: data, models, methods, metrics, attacks, the gate, and the evidence of a run.

In a notebook: ``viker.unlearn(model, processor, forget, retain)``; see ``viker.notebook``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viker.notebook.run import Unlearned as Unlearned
    from viker.notebook.run import load as load
    from viker.notebook.run import unlearn as unlearn

_HOMES = {"load": "viker.notebook.run", "unlearn": "viker.notebook.run", "Unlearned": "viker.notebook.run"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: torch and the like take seconds."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None
