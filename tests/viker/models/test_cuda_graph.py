"""A recording is replayed only after it was seen to follow its inputs; the recorder stands in for a GPU's."""

import pytest
import torch

from viker.models.cuda_graph import Replayed
from viker.models.fast_path import fallbacks


class Step:
    """Doubles what is in its tensor, and counts."""

    def __init__(self):
        self.input, self.computed = torch.ones(3), 0

    def __call__(self):
        self.computed += 1
        return 2 * self.input


def test_after_two_calls_only_the_recording_runs():
    step, replays = Step(), []
    replayed = Replayed(step, lambda compute: lambda: replays.append(1) or 2 * step.input)
    for call in range(5):
        step.input.fill_(call + 1)
        assert torch.equal(replayed(), torch.full((3,), 2.0 * (call + 1)))
    assert (step.computed, len(replays)) == (2, 4)


@pytest.mark.parametrize("stale", [2.0, float("nan")])
def test_a_recording_that_does_not_follow_its_inputs_is_not_used_and_that_is_recorded(stale):
    step = Step()
    replayed = Replayed(step, lambda compute: lambda: torch.full((3,), stale))
    for call in range(4):
        step.input.fill_(call + 1)
        assert torch.equal(replayed(), torch.full((3,), 2.0 * (call + 1)))
    reason = "the recorded step gives other logits than the step itself"
    assert fallbacks() == [{"what": "CUDA graph", "reason": reason}]


def test_what_cannot_be_recorded_is_computed_and_that_is_recorded(caplog):
    def refuse(compute):
        raise RuntimeError("operation not permitted when stream is capturing")

    step = Step()
    replayed = Replayed(step, refuse)
    assert [replayed().tolist() for _ in range(3)] == [[2, 2, 2]] * 3
    assert step.computed == 3
    assert "operation not permitted" in fallbacks()[0]["reason"]
    assert len(caplog.records) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_what_it_recorded():
    from viker.models.cuda_graph import cuda_capture

    tensor = torch.ones(3, device="cuda")
    replayed = Replayed(lambda: 2 * tensor, cuda_capture)
    for call in range(4):
        tensor.fill_(call + 1)
        assert replayed().tolist() == [2.0 * (call + 1)] * 3
    refused = Replayed(lambda: tensor * tensor.sum().item(), cuda_capture)
    assert [refused().tolist() for _ in range(3)] == [[48.0] * 3] * 3
    assert [fallback["what"] for fallback in fallbacks()] == ["CUDA graph"]
