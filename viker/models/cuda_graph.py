"""A computation of fixed shapes on a GPU, recorded once and then launched as a whole: a CUDA graph."""

from collections.abc import Callable

import torch
from torch import Tensor

from viker.models.fallback import record
from viker.models.loading import one_line

Compute = Callable[[], Tensor]
"""Computes a tensor from others, whose shapes and places in memory stay and whose values may change."""
SAME = 1e-2
"""Norm of the difference over norm, up to which a recording gives what it records; the same kernels give the same."""


class Replayed:
    """``compute``, of which all calls but the first two replay a recording.

    The second call computes both ways: a recording repeats for ever what Python code, such as a length, had at the time
    of the first. If they differ or recording fails, that is recorded as a fallback, and all calls compute.

    ``compute`` changes nothing that it depends on. What a call returns, the next may overwrite.
    """

    def __init__(self, compute: Compute, capture: Callable[[Compute], Compute]) -> None:
        """Take what to compute, and what records it: ``cuda_capture``."""
        self._compute, self._capture = compute, capture
        self._replay: Compute | None = None
        self._calls = 0

    def __call__(self) -> Tensor:
        """Return what ``compute`` does."""
        self._calls += 1
        if self._replay and self._calls > 2:
            return self._replay()
        computed = self._compute()
        if self._calls == 1:
            try:
                self._replay = self._capture(self._compute)
            except RuntimeError as error:  # torch has no narrower class for what CUDA refuses to record
                self._fall_back(one_line(error))
        elif self._replay and not (self._replay() - computed).norm() <= SAME * computed.norm():  # NaN too
            self._fall_back("the recorded step gives other logits than the step itself")
        return computed

    def _fall_back(self, reason: str) -> None:
        self._replay = None
        record("CUDA graph", reason, "each operation of a decoding step is launched by itself, which is slower")


def cuda_capture(compute: Compute) -> Compute:
    """Record ``compute``, which has run before, as a CUDA graph; return what replays it.

    Raises RuntimeError: ``compute`` waits for the GPU, as ``Tensor.item`` does, or has another reason.
    """
    graph = torch.cuda.CUDAGraph()
    # the outer block returns to the stream of now, which torch.cuda.graph doesn't do where recording fails
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
        output = compute()

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay
