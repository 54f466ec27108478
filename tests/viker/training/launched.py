"""``python -m tests.viker.training.launched FOLDER...``: the stage once per folder, each with a params.yaml."""

import logging
import sys
from pathlib import Path

from components.unlearn.__main__ import command

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    for folder in map(Path, sys.argv[1:]):
        inputs = {name: folder.parent / name for name in ("prepared", "vanilla", "irrelevant")}
        command(folder / "params.yaml", **inputs, **{name: folder / name for name in ("out", "records", "state")})
