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
    parts = {name: trainer.parts.get(name) for name in dict.fromkeys((*PARTS, *trainer.parts))}
    frame = pd.DataFrame({name: values if values else [float("nan")] * len(steps) for name, values in parts.items()})
    frame.insert(0, "step", [entry["step"] for entry in steps])
    frame.insert(1, "epoch", [entry["epoch"] for entry in steps])
    frame["lr"] = [entry["learning_rate"] for entry in steps]
    frame["grad_norm"] = [entry["grad_norm"] for entry in steps]
    return frame
