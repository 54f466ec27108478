"""Questions on the way: what a model says at the start of a run and every few steps, until little is left to forget."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

Point = dict[str, Any]


class Asking(TrainerCallback):
    """Asks the model every few steps, and ends the run where all is forgotten; the seconds of asking don't count.

    ``points``: what was asked, each with its ``step`` and the ``seconds`` of the run until then.
    """

    def __init__(
        self, ask: Callable[[Any], Point], began: float, every: int, forgotten: Callable[[Point], bool]
    ) -> None:
        """Take what asks the model, when the run began (``time.perf_counter``), and after which point it ends."""
        self.ask, self.began, self.every, self.forgotten = ask, began, every, forgotten
        self.points: list[Point] = []
        self.measured = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask the vanilla model."""
        self._add(0, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask, and end the run where all is forgotten."""
        if state.global_step % self.every == 0 and self.forgotten(self._add(state.global_step, kwargs["model"])):
            control.should_training_stop = True

    def _add(self, step: int, model: Any) -> Point:
        start = time.perf_counter()
        model.eval()
        self.points.append({"step": step, "seconds": start - self.began - self.measured} | self.ask(model))
        model.train()
        self.measured += time.perf_counter() - start
        return self.points[-1]
