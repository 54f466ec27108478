"""The unlearning step, as a Trainer: the method's loss on the forget batch, and the retain term beside it."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import ProgressCallback, Trainer

from components.common.chat import Batch, Encoder, Sample, answer_logits
from components.common.params import UnlearnParams
from components.unlearn.methods.ga import ga_loss
from components.unlearn.methods.graddiff import graddiff_loss
from components.unlearn.methods.tokens import mean_kl
from components.unlearn.methods.viker import viker_loss
from components.unlearn.teacher import pad_teachers


class UnlearnTrainer(Trainer):
    """Trains a LoRA adapter to forget; the frozen model is the same one with the adapter switched off."""

    def __init__(
        self, params: UnlearnParams, encoder: Encoder, retain: Sequence[Sample], seed: int, **trainer: Any
    ) -> None:
        """Take the unlearning parameters, the retain samples to draw from, and Trainer's own arguments."""
        super().__init__(data_collator=self._collate, **trainer)
        self.remove_callback(ProgressCallback)
        self.add_callback(_LossInBar)
        self.params = params
        self.encoder = encoder
        self.retain = retain
        self.rng = random.Random(seed)
        self.parts: dict[str, list[float]] = defaultdict(list)

    def _collate(self, rows: list[tuple[Sample, torch.Tensor | None]]) -> dict[str, Any]:
        batch = self.encoder.batch([sample for sample, _ in rows])
        teachers = [teacher for _, teacher in rows if teacher is not None]
        teacher = pad_teachers(teachers, batch.answers.shape[1]) if teachers else None
        return {"forget": batch, "teacher": teacher}

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return the method's loss plus ``retain_weight`` * KL(vanilla || unlearned) on a fresh retain batch."""
        params, forget = self.params, inputs["forget"]
        logits = answer_logits(model, forget)
        if params.retain_weight > 0 or params.method == "graddiff":
            retain = self._draw_retain()
            retain_logits = answer_logits(model, retain)

        if params.method == "viker":
            parts = viker_loss(logits, forget.answers, inputs["teacher"].to(logits.device), params.lambda_)
        elif params.method == "graddiff":
            parts = graddiff_loss(logits, forget.answers, retain_logits, retain.answers)
        else:
            parts = ga_loss(logits, forget.answers)

        if params.retain_weight > 0:
            with torch.no_grad(), model.disable_adapter():
                vanilla = answer_logits(model, retain).softmax(-1)
            parts["retain"] = mean_kl(vanilla, retain_logits, retain.answers)
            parts["loss"] = parts["loss"] + params.retain_weight * parts["retain"]
        for name, value in parts.items():
            self.parts[name].append(value.item())
        return parts["loss"]

    def _draw_retain(self) -> Batch:
        count = min(self.params.retain_batch_size, len(self.retain))
        return self.encoder.batch(self.rng.sample(self.retain, count))


class _LossInBar(ProgressCallback):
    """A progress bar with the loss in it, in place of a line a step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Show the last loss."""
        if self.training_bar is not None and "loss" in logs:
            self.training_bar.set_description("unlearning", refresh=False)
            self.training_bar.set_postfix(loss=logs["loss"], refresh=False)
