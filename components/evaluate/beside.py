"""A second process that asks the vanilla model while the first one asks the unlearned: ``evaluate.processes``."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.evaluate.stage import Arguments
from viker.core.errors import UserError

PROCESSES = 2


@contextmanager
def vanilla_beside(params: Path, args: Arguments) -> Iterator[Callable[[], Path]]:
    """Start ``components.evaluate.part`` on the vanilla model; yield what waits for its answers, a folder of a part.

    It keeps its state beside the run's, and resumes from there like the run. It is ended where the run fails.

    Raises UserError, when its answers are waited for: it failed; what it says of that is on standard error.
    """
    work = args.work.with_name(f"{args.work.name}-vanilla")
    out = work / "answers"
    places = {name: getattr(args, name) for name in ("prepared", "vanilla", "irrelevant")}
    places |= {"work": work / "state", "out": out, "params": params}
    options = [*(f"--{name}={place}" for name, place in places.items()), f"--gpu-processes={PROCESSES}"]
    command = [sys.executable, "-m", "components.evaluate.part", *options]
    quiet = os.environ | {"TQDM_DISABLE": "1"}  # the bars are the first process's
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=quiet)  # noqa: S603 - this interpreter and a module of the project, no shell

    def answers() -> Path:
        if code := process.wait():
            raise UserError(
                f"the process that asks the vanilla model ended with exit code {code}. Where two models don't fit the "
                "memory, set evaluate.processes to 1."
            )
        return out

    try:
        yield answers
        shutil.rmtree(work)
    finally:
        process.terminate()
        process.wait()
