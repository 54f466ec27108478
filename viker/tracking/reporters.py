"""The curves of a training in TensorBoard and Weights & Biases too, by the reporters of transformers' Trainer.

They get numbers alone. What they would send besides, of themselves, is left out: arguments and model configurations
(TensorBoard, W&B), and of W&B what the program prints, its code, the commit, the machine and who uses it.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from viker.core.errors import UserError
from viker.core.redact import redacted
from viker.tracking.outbox import outbox

NOTHING = SimpleNamespace(to_dict=dict, to_json_string=lambda: "{}", run_name=None, output_dir="")
"""In place of the Trainer's arguments, which have paths of this machine."""

log = logging.getLogger(__name__)


class Reporters:
    """Sends the curves of one stage to each of ``names``; what goes wrong ends that with a warning, not the stage."""

    def __init__(self, names: Sequence[str]) -> None:
        """Check that what ``names`` need is there; nothing is written before the first numbers.

        Raises UserError: a package is not installed, or W&B has no key and would ask for one.
        """
        for name in names:
            spec = find_spec(name)
            if spec is None or spec.origin is None:  # a folder of that name here is no package
                raise UserError(
                    f"tracking.also has {name}, which is not installed: pip install {name}, or pip install "
                    "'viker[reporters]' for both; or take it out."
                )
        if "wandb" in names and not _has_key():
            raise UserError(
                "tracking.also has wandb, and there is no key for it: set WANDB_API_KEY, or run 'wandb login' first; "
                "or set WANDB_MODE=offline, and send what it writes later with 'wandb sync'."
            )
        self.names, self.started = names, dict[str, Any]()
        self.on = bool(names)

    def log(self, runs: Sequence[Mapping[str, Any]], values: Mapping[str, float], step: int) -> None:
        """Send numbers by dotted name; ``runs``: those of ``lineage``, as they are published, the stage's own last."""
        if not self.on:
            return
        try:
            from transformers import TrainerControl, TrainerState

            self.started = self.started or {name: _START[name](runs, step) for name in self.names}
            logs = {name.removeprefix("train."): value for name, value in values.items()}
            for reporter in self.started.values():
                reporter.on_log(NOTHING, TrainerState(global_step=step), TrainerControl(), logs=logs)
        except Exception as error:  # of the network, of the disk, of W&B's service
            self.on = False
            log.warning("tracking.also: %s; no more curves go there", " ".join(f"{error}".split())[:300])

    def close(self, failed: bool) -> None:
        """Complete what was begun."""
        started, self.started, self.on = self.started, {}, False
        try:
            if "tensorboard" in started:
                started["tensorboard"].on_train_end(NOTHING, None, None)
            if "wandb" in started:
                import_module("wandb").finish(exit_code=int(failed))
        except Exception as error:  # likewise
            log.warning("tracking.also: not completed: %s", " ".join(f"{error}".split())[:300])


def folder() -> Path:
    """Return where TensorBoard's and W&B's files go: beside the outbox."""
    return outbox().parent


def _reporter(name: str) -> Any:
    from transformers.integrations import get_reporting_integration_callbacks

    return get_reporting_integration_callbacks([name])[0]


def _tensorboard(runs: Sequence[Mapping[str, Any]], step: int) -> Any:
    """Begin a file of events. A run that resumes has one folder; its points from ``step`` on replace those before."""
    from torch.utils.tensorboard import SummaryWriter

    pipeline, stage = runs[-2:]
    name, key = re.sub(r"[^\w.=-]+", "-", pipeline["name"]), pipeline["key"][:8]
    place = folder() / "tensorboard" / (name if key in name else f"{name}-{key}") / stage["name"]
    return _reporter("tensorboard")(tb_writer=SummaryWriter(str(place), purge_step=step))


def _wandb(runs: Sequence[Mapping[str, Any]], step: int) -> Any:
    """Begin or go on with the run of W&B whose ID is the key of the stage's run."""
    wandb = import_module("wandb")
    quiet = {"silent": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False}
    private = {f"x_disable_{what}": True for what in ("meta", "stats", "machine_info")}
    folder().mkdir(parents=True, exist_ok=True)
    wandb.init(
        project=os.environ.get("WANDB_PROJECT") or "viker",
        name=f"{runs[-2]['name']} {runs[-1]['name']}",
        id=runs[-1]["key"][:16],
        resume="allow",
        dir=str(folder()),
        config=redacted(dict(runs[-2]["params"])),
        settings=wandb.Settings(**quiet, **private, x_save_requirements=False, host=""),
    )
    return _reporter("wandb")()


_START = {"tensorboard": _tensorboard, "wandb": _wandb}


def _has_key() -> bool:
    """Return whether W&B will not ask for a key: it has one, or sends nothing."""
    if os.environ.get("WANDB_MODE", "online") != "online" or os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (OSError, NetrcParseError):
        return False
