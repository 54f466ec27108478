"""The steps of a run, recorded in MLflow while it is under way."""

import time
from typing import Any

import torch
from transformers import TrainerCallback

from viker import tracking
from viker.core.peak_memory import peak_bytes


class StepLogger(TrainerCallback):
    """Records every step: the loss and its parts, the gradient's norm, the learning rate, tokens a second, memory."""

    def __init__(self, trainer: Any) -> None:
        """Watch ``trainer``, an UnlearnTrainer."""
        self.trainer = trainer
        self.since, self.tokens = time.perf_counter(), trainer.tokens

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Record the step that has just ended."""
        if "grad_norm" not in logs:
            return
        now = time.perf_counter()
        values = {name: column[-1] for name, column in self.trainer.parts.items() if column}
        values |= {"epoch": logs["epoch"], "lr": logs["learning_rate"], "grad_norm": float(logs["grad_norm"])}
        values["tokens_per_second"] = (self.trainer.tokens - self.tokens) / (now - self.since)
        values["memory_megabytes"] = memory_megabytes()
        self.since, self.tokens = now, self.trainer.tokens
        for run in (tracking.STAGE, tracking.PIPELINE):  # runs of the whole pipeline are what people compare
            tracking.log_metrics({"train": values}, state.global_step, run)


def memory_megabytes() -> float:
    """Return the most memory taken so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return peak_bytes() / 1e6
