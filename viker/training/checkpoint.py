"""What a run keeps while it is under way: it can be killed at any moment and goes on from there."""

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from viker.core.distributed import any_of, first, first_then_others, rank, share_of, wait, world
from viker.core.files import new_file, sha256_path, write_json
from viker.models.loading import device
from viker.teacher.compact import Kept, from_tensors, to_tensors

SEAL = "seal.json"
"""In a checkpoint's folder, written last: the hashes of its other files. A checkpoint without it is torn."""
PROGRESS = "progress.json"
"""In a checkpoint's folder: what Trainer doesn't keep, see ``UnlearnTrainer.progress``."""
INPUTS = "inputs.json"
TEACHER = "teacher-{}-of-{}.safetensors"

log = logging.getLogger(__name__)


class State:
    """The state folder of one run: what went into it, the teacher, sealed checkpoints."""

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        """Open ``folder`` for a run on ``inputs`` (JSON values); all processes of the run share it.

        What another run left there is refused: a warning names what differs, and the run starts from the beginning.
        """
        self.folder = folder
        first_then_others(lambda: self._open(inputs))

    def _open(self, inputs: Mapping[str, Any]) -> None:
        folder = self.folder
        now = json.loads(json.dumps(inputs))
        before = _read(folder / INPUTS)
        if before is not None and before != now:
            log.warning("%s: the state is of another run, not used: %s", folder, "; ".join(differences(before, now)))
        if before != now:
            shutil.rmtree(folder, ignore_errors=True)
            write_json(folder / INPUTS, now)

    def teachers(self, count: int, make: Callable[[Sequence[int]], list[Kept]]) -> list[Kept]:
        """Return the teacher's distributions of ``count`` samples: those that are kept, or else what ``make`` makes.

        ``make`` gets the numbers of some samples and returns theirs. Each process makes its share; a share is kept
        as soon as it is whole. Where one is missing, the others are called too, with no numbers: a sharded model
        needs all processes.
        """
        mine = self.folder / TEACHER.format(rank(), world())
        missing = _load(mine) is None
        own = share_of(range(count)) if missing else []
        if any_of(missing, device()):
            made = {number: to_tensors(kept) for number, kept in zip(own, make(own), strict=True)}
        if missing:
            with new_file(mine) as path:
                save_file({f"{number:06d}.{name}": t for number, ts in made.items() for name, t in ts.items()}, path)
        wait()
        kept: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]
        for process in range(world()):
            for key, tensor in (_load(self.folder / TEACHER.format(process, world())) or {}).items():
                number, _, name = key.partition(".")
                kept[int(number)][name] = tensor
        return list(map(from_tensors, kept))

    def newest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that is whole, or None; torn ones are passed over with a warning."""
        return first_then_others(self._newest_checkpoint)

    def _newest_checkpoint(self) -> Path | None:
        found = [
            (int(m[1]), path) for path in self.folder.iterdir() if (m := re.fullmatch(r"checkpoint-(\d+)", path.name))
        ]
        for _, path in sorted(found, reverse=True):
            if _read(path / SEAL) == _hashes(path):
                return path
            log.warning("%s: a torn checkpoint, passed over", path)
            shutil.rmtree(path)
        return None

    def close(self) -> None:
        """Remove the folder: the run is over."""
        wait()
        if first():
            shutil.rmtree(self.folder, ignore_errors=True)


class KeepState(TrainerCallback):
    """Seals each checkpoint of a trainer; on request, saves one at the end of the step and stops."""

    def __init__(self, trainer: Any) -> None:
        """Watch over ``trainer``, an UnlearnTrainer."""
        self.trainer = trainer
        self.stop_requested = False

    def request_stop(self) -> None:
        """Ask for a checkpoint and the end of training after the present step."""
        self.stop_requested = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and stop where that was asked for; a run that ends with this step anyway needs no checkpoint."""
        self.stop_requested = any_of(self.stop_requested, self.trainer.args.device)
        if self.stop_requested and not control.should_training_stop:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Complete the checkpoint that Trainer has just written, once all processes have written their parts."""
        wait()
        if not first():
            return
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(checkpoint / PROGRESS, self.trainer.progress())
        write_json(checkpoint / SEAL, _hashes(checkpoint))


def restore(trainer: Any, checkpoint: Path) -> None:
    """Give ``trainer`` back what ``KeepState`` kept; Trainer restores the rest when it resumes."""
    trainer.restore_progress(_read(checkpoint / PROGRESS))


def differences(before: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> list[str]:
    """Return a phrase for each key whose value differs, ``KEY was A, is B``, sections in dotted keys."""
    found: list[str] = []
    for key in sorted({*before, *now}):
        one, other, name = before.get(key), now.get(key), f"{above}{key}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differences(one, other, f"{name}.")
        elif one != other:
            found.append(f"{name} was {one!r}, is {other!r}")
    return found


def _load(path: Path) -> dict[str, torch.Tensor] | None:
    """Return the tensors of a file, or None where it is not there or torn."""
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None
    return tensors


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_path(path) for path in sorted(folder.iterdir()) if path.name != SEAL}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
