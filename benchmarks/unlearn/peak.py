"""Runs real unlearning steps on a model from a configuration and prints the peak of torch's allocations, in bytes."""

import gc
import json
import sys
from collections.abc import Callable

import torch

from benchmarks.unlearn.model import SIZES, bench
from viker.finetuning.settings import ModelParams
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams


def peak(sizes: ModelParams, params: UnlearnParams) -> dict[str, int]:
    """Return the bytes of the weights and, while two steps run, the largest sum of what torch has allocated."""
    SIZES["measured"] = sizes
    benched = bench("measured", 2 * params.batch_size)
    retain = benched.samples
    count = len(benched.encoder.ids(benched.samples[0].prompt, benched.samples[0].answer, True)[0])
    vocabulary = benched.model.config.get_text_config().vocab_size
    teachers = [torch.full((30, vocabulary), 1 / vocabulary) for _ in benched.samples]
    for parameter in benched.model.parameters():
        parameter.data = parameter.data.to(getattr(torch, params.precision))
    weights = sum(parameter.nbytes for parameter in benched.model.parameters())
    highest = allocated(
        lambda: make_trainer(params, 7, benched.model, benched.encoder, benched.samples, retain, teachers).train()
    )
    return {"peak": weights + highest, "weights": weights, "vocabulary": vocabulary, "sequence": count}


def allocated(run: Callable[[], object]) -> int:
    """Return the largest sum of what torch has allocated on the CPU since ``run`` began, in bytes."""
    gc.collect()  # or it might be freed meanwhile, and count
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        highest = max(highest, live)
    return highest


if __name__ == "__main__":
    torch.set_num_threads(1)
    request = json.loads(sys.argv[1])
    print(json.dumps(peak(ModelParams(**request["sizes"]), UnlearnParams(**request["unlearn"]))))
