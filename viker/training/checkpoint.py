"""Checkpoints: what the run keeps in its store, so that it can be killed at any moment and resumes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from transformers import TrainerCallback

from viker.core.distributed import any_of, processes
from viker.core.files import write_json
from viker.core.run_store import RunStore

CHECKPOINT = "checkpoint"
"""The prefix that Trainer gives its checkpoints."""
PROGRESS = "progress.json"
"""In a checkpoint's folder: what Trainer doesn't keep, see ``UnlearnTrainer.progress``."""


def open_store(folder: Path, inputs: Mapping[str, Any]) -> RunStore:
    """Open the store that all processes of the run share; the first one empties it where another run left it."""
    with processes().main_process_first():
        return RunStore(folder, inputs, lock=processes().is_main_process)


def close_store(store: RunStore) -> None:
    """Remove the store once all processes are through."""
    processes().wait_for_everyone()
    if processes().is_main_process:
        store.close()


def newest_checkpoint(store: RunStore) -> Path | None:
    """Return the newest checkpoint that is whole, or None; torn ones are removed with a warning."""
    with processes().main_process_first():
        return store.newest(CHECKPOINT)


class SaveCheckpoints(TrainerCallback):
    """Completes and seals each checkpoint of a trainer; on request, saves one at the end of the step and stops."""

    def __init__(self, trainer: Any, store: RunStore, minutes: float, clock: Callable[[], float] = monotonic) -> None:
        """Take the UnlearnTrainer, which saves its checkpoints into the store's folder.

        ``minutes``: the longest time between two, by ``clock``, in seconds.
        """
        self.trainer, self.store = trainer, store
        self.stop_requested = False
        self.seconds, self.clock = 60 * minutes, clock
        self.saved = clock()

    def request_stop(self) -> None:
        """Ask for a checkpoint and the end of training after the present step."""
        self.stop_requested = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save where it is time; save and stop where that was asked for. A run that ends anyway needs no checkpoint."""
        if any_of(self.clock() - self.saved >= self.seconds) and not control.should_training_stop:
            control.should_save = True
        self.stop_requested = any_of(self.stop_requested)
        if self.stop_requested and not control.should_training_stop:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Complete the checkpoint that Trainer has just written, once all processes have written their parts."""
        processes().wait_for_everyone()
        self.saved = self.clock()
        if not processes().is_main_process:
            return
        name = f"{CHECKPOINT}-{state.global_step}"
        write_json(self.store.folder / name / PROGRESS, self.trainer.progress())
        self.store.seal(name)


def restore(trainer: Any, checkpoint: Path) -> None:
    """Give ``trainer`` back what ``SaveCheckpoints`` added to the checkpoint; Trainer restores the rest itself."""
    trainer.restore_progress(json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8")))
