"""Full disks, files that may not grow, and folders that can't be written: an error that says so, and nothing torn."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.torture.result import Case
from benchmarks.torture.signals import last_line
from benchmarks.torture.tree import Reference, Tree
from components.contract.stages import stages

SMALL = 16 * 1024
"""Bytes: less than any output of more than a few numbers."""
PAGE = resource.getpagesize()
"""A tmpfs holds whole pages of each file."""


def faults(reference: Reference) -> Iterator[Case]:
    """Run each stage with each output in a folder on a full disk, under a limit on file size, and read-only."""
    for stage in stages():
        for path in reference.tree.outputs(stage):
            name = path.relative_to(reference.tree.folder)
            if len(name.parts) == 1:
                continue  # it would be a mount point itself, which can't be renamed
            for fault in ("full", "read-only"):
                yield on_mount(reference, stage, name, fault)
        yield _limited(reference, stage)


def on_mount(reference: Reference, stage: str, output: Path, fault: str) -> Case:
    """Run a stage with one of its outputs on a disk that is full or read-only, and say what is wrong, if anything."""
    with reference.copy(f"space-{stage}", stage) as tree:
        folder = (tree.folder / output).parent
        folder.mkdir(parents=True, exist_ok=True)
        with _mounted(folder, fault):
            code, out = tree.run(tree.command(stage))
        found = _judged(reference, tree, stage, code, out)
        if fault == "read-only" and code == 0:
            found.append("exit code 0 though its output can't be written")
        return _again(reference, tree, stage, f"{fault} disk under {output}", found)


def _limited(reference: Reference, stage: str) -> Case:
    with reference.copy(f"limit-{stage}", stage) as tree:
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (SMALL, SMALL))
        tree.environment = {"PYTHONDONTWRITEBYTECODE": "1"}  # Python would leave it cut off, for all later imports
        code, out = tree.run(tree.command(stage), preexec_fn=limit)
        tree.environment = {}
        found = _judged(reference, tree, stage, code, out)
        return _again(reference, tree, stage, f"{stage}: files of at most {SMALL} bytes", found)


def _judged(reference: Reference, tree: Tree, stage: str, code: int, out: str) -> list[str]:
    found = [f"torn: {path}" for path in reference.torn(tree, stage)]
    if code not in (0, 1):
        found.append(f"exit code {code}: {last_line(out)}")
    if "Traceback" in out:
        found.append(f"traceback: {last_line(out)}")
    return found


def _again(reference: Reference, tree: Tree, stage: str, what: str, found: list[str]) -> Case:
    code, out = tree.run(tree.command(stage))
    found += [f"with space again, exit code {code}: {last_line(out)}"] if code else []
    found += [f"other bytes: {path}" for path in reference.torn(tree, stage)]
    found += [f"missing: {path}" for path in reference.missing(tree, stage)]
    return Case(what, found)


@contextmanager
def _mounted(folder: Path, fault: str) -> Iterator[None]:
    """Have a folder, with what is in it, on a disk that is full, or that can't be written; needs root."""
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, kept, symlinks=True)
    pages = sum(-(-path.stat().st_size // PAGE) for path in kept.rglob("*") if path.is_file())
    size = pages * PAGE + SMALL
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "torture", str(folder)], check=True)
    try:
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        if fault == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)
        kept.rename(folder)
