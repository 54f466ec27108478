"""The loss curve of a run, as a table."""

import pandas as pd

from viker.training.trainer import UnlearnTrainer

PARTS = ("loss", "ga", "kl", "retain")
"""The columns that the loss curve has for every method."""


def loss_curve(trainer: UnlearnTrainer) -> pd.DataFrame:
    """Return one row per step: step, epoch, loss and its parts, learning rate and norm of the gradient.

    ``PARTS`` are always there, empty where the method has no such part; then come the method's own. With gradient
    accumulation a value is the mean over the step's batches.
    """
    steps = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    log = {name: [entry[name] for entry in steps] for name in ("step", "epoch", "learning_rate", "grad_norm")}
    names, absent = dict.fromkeys((*PARTS, *trainer.parts)), [float("nan")] * len(steps)
    parts = {name: trainer.parts.get(name) or absent for name in names}
    of_step = {"step": log["step"], "epoch": log["epoch"]}
    return pd.DataFrame(of_step | parts | {"lr": log["learning_rate"], "grad_norm": log["grad_norm"]})
