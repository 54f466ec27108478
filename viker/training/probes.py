"""Cheap probes of a run under way: private values, how near the teacher is, and what moved of others' answers."""

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
from viker.teacher.distributions import TeacherDistributions, full
from viker.teacher.private_places import places_of_each

RETAIN = 96
"""The most retain samples that are probed, evenly spaced over all of them."""
BATCH = 16
NEAR = 1.0
"""Nats per token: a vanilla model that knows hardly more than the teacher would make any other distance look large."""

log = logging.getLogger(__name__)


class Probes(TrainerCallback):
    """After each epoch, appends a line of JSON to a file: ``epoch``, the probes, and the ``seconds`` they took.

    ``forget``: see ``forget_probes``, as ``teacher``, relative to the vanilla model's or ``NEAR``: above 1 the
    run went past the teacher; ``retain``: see ``retain_divergence``.
    """

    def __init__(
        self,
        path: Path,
        trainer: Any,
        forget: Sequence[Sample],
        teachers: Sequence[TeacherDistributions],
        values: Mapping[str, Sequence[str]],
    ) -> None:
        """Take the file, the UnlearnTrainer, the forget samples, their teachers, and private values by record ID."""
        self.path, self.trainer = path, trainer
        spans = [
            [span for span in places_of_each(trainer.encoder, s, values.get(s.record_id, ())) if span] for s in forget
        ]
        if not any(spans):
            log.warning("no forget record has a private value in its answer: the probes take whole answers instead")
            spans = [[list(range(len(trainer.encoder.answer_ids(sample))))] for sample in forget]
        self.private = [row for row in zip(forget, spans, teachers, strict=True) if row[1]]
        self.retain = trainer.retain[:: -(-len(trainer.retain) // RETAIN)]
        self.done, self.vanilla = 0.0, 0.0

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
        if not self.vanilla:
            with self.trainer.accelerator.unwrap_model(model).disable_adapter():
                self.vanilla = max(NEAR, forget_probes(self, model)[1])
        private, distance = forget_probes(self, model)
        retain = retain_divergence(self, model)
        probes = {"forget": private, "teacher": distance / self.vanilla, "retain": retain}
        model.train(was_training)
        if not processes().is_main_process:
            return
        for run in (tracking.STAGE, tracking.PIPELINE):
            tracking.log_metrics({"probe": probes}, state.global_step, run)
        line = json.dumps({"epoch": int(epoch), **probes, "seconds": time.perf_counter() - began})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with writing(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")


def forget_probes(probes: Probes, model: Any) -> tuple[float, float]:
    """Return the mean probability of a private value of the forget set, and how far these answers are from the teacher.

    The first is after the true prefix, between 0 and 1. A value's is the product of its tokens': those behind the first
    may be certain by spelling alone. The second is mean_t KL(teacher || unlearned), nats, at least 0.
    """
    values, distances = list[torch.Tensor](), list[torch.Tensor]()
    for start in range(0, len(probes.private), BATCH):
        group = probes.private[start : start + BATCH]
        batch = probes.trainer.encoder.batch([sample for sample, _, _ in group])
        log_p = log_probabilities(answer_logits(model, batch), batch.answers).cpu()
        true = chosen(log_p, batch.answers.cpu())
        lengths = batch.mask.sum(-1).tolist()
        for own, rows, (_, spans, teacher) in zip(true.split(lengths), log_p.split(lengths), group, strict=True):
            values += [own[span].sum().exp() for span in spans]
            distances.append(divergence(full(teacher), rows))
    return float(torch.stack(values).mean()), max(0.0, float(torch.cat(distances).mean()))


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
