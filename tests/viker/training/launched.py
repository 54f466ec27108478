"""``python -m tests.viker.training.launched FOLDER...``: the stage once per folder, each with a params.yaml."""

import logging
import sys
from pathlib import Path

from components.contract.params import load_params
from components.unlearn.__main__ import command
from components.unlearn.stage import Arguments

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    for folder in map(Path, sys.argv[1:]):
        inputs = {name: folder.parent / name for name in ("prepared", "vanilla", "irrelevant")}
        outputs = {name: folder / name for name in ("out", "records", "state")}
        params = folder / "params.yaml"
        command(load_params(params), params, Arguments(**inputs, **outputs))
