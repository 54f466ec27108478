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
        self,
        ask: Callable[[Any], Point],
        began: float,
        every: int,
        forgotten: Callable[[Point], bool],
        moved: Callable[[Any, Point], bool] = lambda *_: True,
    ) -> None:
        """Take what asks the model, when the run began (``time.perf_counter``), and after which point it ends.

        ``moved``: whether the model is worth asking after the last point; the last step is asked in any case.
        """
        self.ask, self.began, self.every, self.forgotten, self.moved = ask, began, every, forgotten, moved
        self.points: list[Point] = []
        self.measured = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask the vanilla model."""
        self._add(0, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask, and end the run where all is forgotten."""
        if state.global_step % self.every == 0 and self.forgotten(self._add(state.global_step, kwargs["model"])):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask after the last step, if the model wasn't asked since it last moved."""
        if self.points[-1]["step"] < state.global_step // self.every * self.every:
            self.moved = lambda *_: True
            self._add(state.global_step, kwargs["model"])

    def _add(self, step: int, model: Any) -> Point:
        start = time.perf_counter()
        model.eval()
        if not self.points or self.moved(model, self.points[-1]):
            self.points.append({"step": step, "seconds": start - self.began - self.measured} | self.ask(model))
        model.train()
        self.measured += time.perf_counter() - start
        return self.points[-1]
