"""The adapter that a run trains further, where the engine hands one over."""

from pathlib import Path

from components.contract.params import Params


def started_from(settings: Params, start: Path | None) -> Params:
    """Return the parameters with ``start`` for ``unlearn.start_from``; as they are where there is no adapter in it."""
    from viker.models.base_model import WEIGHTS

    if start is None or not (start / WEIGHTS).is_file():
        return settings
    chosen = settings.unlearn.model_copy(update={"start_from": str(start)})
    return settings.model_copy(update={"unlearn": chosen})
