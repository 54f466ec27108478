"""The teacher's distributions in the store of a run: asked once, in chunks, by one task or by several."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from viker.core.distributed import any_of, processes, share_of
from viker.core.files import new_file
from viker.core.run_store import RunStore
from viker.teacher.distributions import TeacherDistributions, from_tensors, to_tensors

CHUNK = 256
"""Samples whose teacher is computed together: which, decides the last digits, so it doesn't depend on who asks."""
FILE = "teacher-{:05d}-{}-of-{}.safetensors"
"""A chunk by number: the part of process i of n."""

Compute = Callable[[Sequence[int]], list[TeacherDistributions]]


def stored_teachers(store: RunStore, count: int, compute: Compute) -> list[TeacherDistributions]:
    """Return the teacher's distributions of ``count`` samples, computed where the store doesn't have them.

    ``compute`` gets the numbers of some samples and returns theirs. Of a chunk that the store lacks each process
    computes its share and stores it. If the share of one is missing, ``compute`` is called in the others too, with no
    numbers: a sharded model needs all processes.
    """
    state = processes()
    tensors: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]
    for chunk, numbers in enumerate(_chunks(count)):
        files = [FILE.format(chunk, 0, 1)]
        if store.entry(files[0]) is None:
            files = [FILE.format(chunk, process, state.num_processes) for process in range(state.num_processes)]
            _compute_share(store, files[state.process_index], share_of(numbers), compute)
            state.wait_for_everyone()
        for file in files:
            for key, tensor in load_file(store.folder / file).items():
                number, _, name = key.partition(".")
                tensors[int(number)][name] = tensor
    return list(map(from_tensors, tensors))


def teach_chunks(store: RunStore, count: int, compute: Compute) -> list[Path]:
    """Return the files with the chunks that are in the store's share, computed where they are not there yet."""
    first, step = store.share
    files = []
    for chunk, numbers in list(enumerate(_chunks(count)))[first::step]:
        file = FILE.format(chunk, 0, 1)
        _compute_share(store, file, numbers, compute)
        files.append(store.folder / file)
    return files


def take_chunks(store: RunStore, folder: Path) -> None:
    """Copy the files that ``teach_chunks`` returned in another task, and that lie in ``folder`` now, into the store."""
    if processes().is_main_process:
        for path in sorted(folder.glob("teacher-*.safetensors")):
            with new_file(store.folder / path.name) as copy:
                copy.write_bytes(path.read_bytes())
            store.seal(path.name)
    processes().wait_for_everyone()


def give_chunks(store: RunStore, folder: Path) -> None:
    """Copy the store's whole chunks into ``folder``, from where ``take_chunks`` takes them in another run."""
    for path in sorted(store.folder.glob("teacher-*.safetensors")):
        (folder / path.name).write_bytes(path.read_bytes())


def _compute_share(store: RunStore, file: str, numbers: Sequence[int], compute: Compute) -> None:
    missing = store.entry(file) is None
    if any_of(missing):
        wanted = numbers if missing else []
        computed = dict(zip(wanted, map(to_tensors, compute(wanted)), strict=True))
    if missing:
        with new_file(store.folder / file) as path:
            save_file({f"{n:06d}.{name}": t for n, ts in computed.items() for name, t in ts.items()}, path)
        store.seal(file)


def _chunks(count: int) -> list[range]:
    return [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
