"""What several tests need: what takes long to make, made once for all processes of a run, and changed parameters."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from pytest import TempPathFactory
from ruamel.yaml import YAML

from viker.core.settings import read_yaml


def made_once(tmp_path_factory: TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make`` has filled, in this process of the run or in another; tests only read it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # which all processes of the run share
    folder, done = base / f"shared-{name}", base / f"shared-{name}.done"
    with FileLock(base / f"shared-{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def change_params(path: Path, **sections: object) -> None:
    """Change keys of a parameter file, section by section; its comments are dropped."""
    params = read_yaml(path, "")
    for name, values in sections.items():
        params[name] = params[name] | values if isinstance(values, dict) else values
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(params, stream)
