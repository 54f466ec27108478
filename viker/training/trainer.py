"""The unlearning step, as a Trainer: the method's loss on the forget batch plus the retain term."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn.utils import get_total_norm
from torch.utils.data import DataLoader
from transformers import ProgressCallback, Trainer

from viker.core.distributed import mean, processes, share_of
from viker.data.samples import Sample
from viker.methods.base.method import RETAIN, Inputs, method_of
from viker.methods.base.refusals import REFUSALS
from viker.methods.base.tokens import mean_kl
from viker.models.encoder import Batch, Encoder
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions, pad_teachers
from viker.training.divergence_guard import check
from viker.training.length_batches import LengthGrouped
from viker.training.settings import UnlearnParams

RETAIN_TERM = ("retain_vanilla", *RETAIN)
"""The tensors of the retain term, mean_t KL(vanilla || unlearned) over the answer tokens of the retain batch."""


class UnlearnTrainer(Trainer):
    """Trains a LoRA adapter to forget; the frozen model is the same one with the adapter switched off.

    ``parts``: for each part of the loss its value at every step so far, the mean over the step's batches. ``tokens``:
    how many input tokens have been trained on, padding included.
    """

    def __init__(self, params: UnlearnParams, encoder: Encoder, retain: list[Sample], seed: int, **others: Any) -> None:
        """Take the unlearning parameters, the retain samples to draw from, and Trainer's own arguments."""
        super().__init__(data_collator=self._collate, **others)
        self.remove_callback(ProgressCallback)
        self.add_callback(_LossInBar)
        self.params = params
        self.method = method_of(params.method)
        self.retain_term = self.method.unlearns and params.retain_weight > 0
        self.encoder = encoder
        self.retain = retain
        self.rng = random.Random(seed)
        self.parts: dict[str, list[float]] = defaultdict(list)
        self.step_parts: list[dict[str, float]] = []
        self.step_samples: list[Sequence[Sample]] = []
        self.tokens = 0

    def progress(self) -> dict[str, Any]:
        """Return, as JSON values, what a checkpoint must hold besides what Trainer saves in it."""
        return {"rng": self.rng.getstate(), "parts": self.parts}

    def restore_progress(self, progress: dict[str, Any]) -> None:
        """Take back what ``progress`` returned."""
        version, words, gauss = progress["rng"]
        self.rng.setstate((version, tuple(words), gauss))
        self.parts = defaultdict(list, progress["parts"])

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return Trainer's loader, or with ``group_by_length`` one whose batches hold answers of like lengths."""
        if not self.params.group_by_length:
            return super().get_train_dataloader()
        samples = [sample for sample, _ in self.train_dataset]
        lengths = [len(self.encoder.ids(s.prompt, s.answer, bool(s.picture))[0]) for s in samples]
        together = self.params.batch_size * self.params.gradient_accumulation
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=LengthGrouped(lengths, together, self.args.seed),
            collate_fn=self._collate,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _collate(self, rows: list[tuple[Sample, TeacherDistributions | None]]) -> dict[str, Any]:
        batch = self.encoder.batch([sample for sample, _ in rows])
        teachers = [teacher for _, teacher in rows if teacher is not None]
        teacher = pad_teachers(teachers, batch.answers.shape[1]) if teachers else None
        return {"forget": batch, "teacher": teacher}

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Compute loss and gradient of one batch; after a step's last batch check the gradient before it is taken.

        Raises Diverged: the loss, or the gradient's norm before clipping, is NaN, infinite or exploded.
        """
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self.accelerator.sync_gradients:
            norm = get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
            check("gradient's norm", float(norm), self.state.global_step + 1, self.step_samples)
            for name in self.step_parts[0]:
                values = [parts[name] for parts in self.step_parts]
                self.parts[name].append(sum(values) / len(values))
            self.step_parts, self.step_samples = [], []
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return the method's loss plus ``retain_weight`` * KL(vanilla || unlearned) on a fresh retain batch.

        Raises Diverged: the loss is NaN, infinite or exploded.
        """
        self.step_samples.append(inputs["forget"].samples)
        self.tokens += inputs["forget"].inputs["input_ids"].numel()
        tensors = self._inputs(model, inputs["forget"], inputs["teacher"])
        parts = self.method(tensors, self.params.method)
        if self.retain_term:
            parts["retain"] = mean_kl(*(getattr(tensors, name) for name in RETAIN_TERM))
            parts["loss"] = parts["loss"] + self.params.retain_weight * parts["retain"]
        means = mean(torch.stack([value.detach().float() for value in parts.values()])).tolist()
        values = dict(zip(parts, means, strict=True))
        check("loss", values["loss"], self.state.global_step + 1, self.step_samples)
        self.step_parts.append(values)
        return parts["loss"]

    def _inputs(self, model: Any, forget: Batch, teacher: torch.Tensor | None) -> Inputs:
        """Compute the tensors that the method and the retain term take, and nothing else."""
        needs = set(self.method.needs)
        if self.retain_term:
            needs.update(RETAIN_TERM)
        tensors = Inputs(answer_logits(model, forget), forget.answers)
        if "teacher" in needs and teacher is not None:
            tensors.teacher = teacher.to(tensors.logits.device)
        if "vanilla_logits" in needs:
            tensors.vanilla_logits = self._vanilla(model, forget)
        if "retain_logits" in needs:
            retain = self._draw_retain()
            tensors.retain_logits, tensors.retain_answers = answer_logits(model, retain), retain.answers
            if "retain_vanilla" in needs:
                tensors.retain_vanilla = self._vanilla(model, retain).softmax(-1, dtype=torch.float32)
        if "refusal_logits" in needs:
            refusal = self._refuse(forget)
            tensors.refusal_logits, tensors.refusal_answers = answer_logits(model, refusal), refusal.answers
            tensors.refusal_vanilla_logits = self._vanilla(model, refusal)
        return tensors

    def _vanilla(self, model: Any, batch: Batch) -> torch.Tensor:
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            return answer_logits(model, batch)

    def _refuse(self, forget: Batch) -> Batch:
        """Answer the forget batch's questions with refusals; every process draws those of all, and takes its own."""
        count = len(forget.samples)
        state = processes()
        drawn = [self.rng.choice(REFUSALS) for _ in range(count * state.num_processes)][count * state.process_index :]
        pairs = zip(forget.samples, drawn[:count], strict=True)
        return self.encoder.batch([replace(sample, answer=answer) for sample, answer in pairs])

    def _draw_retain(self) -> Batch:
        """Draw retain samples without replacement; every process draws those of all, and takes its own."""
        count = min(self.params.retain_batch_size * processes().num_processes, len(self.retain))
        drawn = share_of(self.rng.sample(self.retain, count))
        self.step_samples.append(drawn)
        batch = self.encoder.batch(drawn)
        self.tokens += batch.inputs["input_ids"].numel()
        return batch


class _LossInBar(ProgressCallback):
    """A progress bar that shows the loss, instead of one line per step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Show the last loss."""
        if self.training_bar is not None and "loss" in logs:
            self.training_bar.set_description("unlearning", refresh=False)
            self.training_bar.set_postfix(loss=logs["loss"], refresh=False)
