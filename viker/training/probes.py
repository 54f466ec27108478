"""Cheap probes of a run under way: what is left of the private values, and how far other people's answers moved."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from viker import tracking
from viker.core.distributed import processes
from viker.core.files import writing
from viker.data.samples import Sample
from viker.methods.base.tokens import chosen, divergence, log_probabilities
from viker.models.logits import answer_logits
from viker.teacher.private_places import places_of_each

RETAIN = 96
"""The most retain samples that are probed, evenly spaced over all of them."""
BATCH = 16

log = logging.getLogger(__name__)


class Probes(TrainerCallback):
    """After each epoch, appends a line of JSON to a file: ``epoch``, the two probes, and the ``seconds`` they took."""

    def __init__(self, path: Path, trainer: Any, forget: Sequence[Sample], values: Mapping[str, Sequence[str]]) -> None:
        """Take the file, the UnlearnTrainer, the forget samples and their private values by record ID."""
        self.path, self.trainer = path, trainer
        spans = [(s, places_of_each(trainer.encoder, s, values.get(s.record_id, ()))) for s in forget]
        self.private = [(sample, [one for one in places if one]) for sample, places in spans if any(places)]
        if not self.private:
            log.warning("no forget record has a private value in its answer: the probes take whole answers instead")
            self.private = [(s, [list(range(len(trainer.encoder.answer_ids(s))))]) for s in forget]
        self.retain = trainer.retain[:: -(-len(trainer.retain) // RETAIN)]
        self.done = 0.0

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Probe, unless the run stops in the middle of an epoch: it resumes there."""
        self._probe(state, kwargs["model"])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Probe a run that was killed between its last step and the probe."""
        self._probe(state, kwargs["model"])

    @torch.no_grad()
    def _probe(self, state: Any, model: Any) -> None:
        epoch = state.global_step / (state.max_steps // state.num_train_epochs)
        if epoch <= self.done or not epoch.is_integer():
            return
        began, self.done = time.perf_counter(), epoch
        was_training = model.training
        model.eval()
        probes = {"forget": private_probability(self, model), "retain": retain_divergence(self, model)}
        model.train(was_training)
        if not processes().is_main_process:
            return
        for run in (tracking.STAGE, tracking.PIPELINE):
            tracking.log_metrics({"probe": probes}, state.global_step, run)
        line = json.dumps({"epoch": int(epoch), **probes, "seconds": time.perf_counter() - began})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with writing(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")


def private_probability(probes: Probes, model: Any) -> float:
    """Return the mean probability of a private value of the forget set, after the true prefix; between 0 and 1.

    A value's is the product of its tokens': those behind the first may be certain by spelling alone.
    """
    values = list[torch.Tensor]()
    for start in range(0, len(probes.private), BATCH):
        group = probes.private[start : start + BATCH]
        batch = probes.trainer.encoder.batch([sample for sample, _ in group])
        log_p = chosen(log_probabilities(answer_logits(model, batch), batch.answers), batch.answers)
        answers = log_p.cpu().split(batch.mask.sum(-1).tolist())
        values += [own[span].sum().exp() for own, (_, spans) in zip(answers, group, strict=True) for span in spans]
    return float(torch.stack(values).mean())


def retain_divergence(probes: Probes, model: Any) -> float:
    """Return mean_t KL(vanilla || unlearned) over the answer tokens of the retain samples probed, nats, at least 0."""
    divergences = list[torch.Tensor]()
    for start in range(0, len(probes.retain), BATCH):
        batch = probes.trainer.encoder.batch(probes.retain[start : start + BATCH])
        with probes.trainer.accelerator.unwrap_model(model).disable_adapter():
            vanilla = log_probabilities(answer_logits(model, batch), batch.answers).exp()
        unlearned = log_probabilities(answer_logits(model, batch), batch.answers)
        divergences.append(divergence(vanilla, unlearned).cpu())
    return max(0.0, float(torch.cat(divergences).mean()))
