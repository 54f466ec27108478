"""The unlearning step, as a Trainer: the method's loss on the forget batch, and the retain term beside it."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import ProgressCallback, Trainer

from viker.core.distributed import mean, rank, share_of, world
from viker.methods.inputs import Inputs
from viker.methods.refusals import REFUSALS
from viker.methods.registry import METHODS
from viker.methods.tokens import mean_kl
from viker.models.chat import Batch, Encoder, Sample, answer_logits
from viker.teacher.compact import Kept
from viker.teacher.visual import pad_teachers
from viker.training.divergence_guard import check
from viker.training.length_batches import LengthGrouped
from viker.training.settings import UnlearnParams


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
        self.method = METHODS[params.method]
        self.retain_term = self.method.unlearns and params.retain_weight > 0
        self.encoder = encoder
        self.retain = retain
        self.rng = random.Random(seed)
        self.parts: dict[str, list[float]] = defaultdict(list)
        self.step_parts: list[dict[str, float]] = []
        self.shown: list[Sequence[Sample]] = []
        self.tokens = 0

    def progress(self) -> dict[str, Any]:
        """Return, as JSON values, what a checkpoint must hold besides what Trainer saves in it."""
        return {"rng": self.rng.getstate(), "parts": self.parts}

    def restore_progress(self, progress: dict[str, Any]) -> None:
        """Take back what ``progress`` returned."""
        version, words, gauss = progress["rng"]
        self.rng.setstate((version, tuple(words), gauss))
        self.parts = defaultdict(list, progress["parts"])

    def _collate(self, rows: list[tuple[Sample, Kept | None]]) -> dict[str, Any]:
        batch = self.encoder.batch([sample for sample, _ in rows])
        teachers = [teacher for _, teacher in rows if teacher is not None]
        teacher = pad_teachers(teachers, batch.answers.shape[1]) if teachers else None
        return {"forget": batch, "teacher": teacher}

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return the method's loss plus ``retain_weight`` * KL(vanilla || unlearned) on a fresh retain batch.

        Raises:
            Diverged: the loss is NaN, infinite or exploded.
        """
        self.shown.append(inputs["forget"].samples)
        self.tokens += inputs["forget"].inputs["input_ids"].numel()
        given = self._inputs(model, inputs["forget"], inputs["teacher"])
        parts = self.method(given, self.params)
        if self.retain_term:
            parts["retain"] = retain_loss(given)
            parts["loss"] = parts["loss"] + self.params.retain_weight * parts["retain"]
        told = mean(torch.stack([value.detach().float() for value in parts.values()])).tolist()
        values = dict(zip(parts, told, strict=True))
        check("loss", values["loss"], self.state.global_step + 1, self.shown)
        self.step_parts.append(values)
        return parts["loss"]

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Check the step's gradient before the optimiser takes it, and close the step's record.

        Raises:
            Diverged: the gradient is NaN, infinite or exploded.
        """
        norm = super()._get_grad_norm(model, grad_norm)
        check("gradient's norm", float(norm), self.state.global_step + 1, self.shown)
        for name in self.step_parts[0]:
            values = [parts[name] for parts in self.step_parts]
            self.parts[name].append(sum(values) / len(values))
        self.step_parts, self.shown = [], []
        return norm

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        if not self.params.group_by_length:
            sampler: Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return sampler
        samples = [sample for sample, _ in self.train_dataset]
        lengths = [len(self.encoder.ids(s.prompt, s.answer, bool(s.picture))[0]) for s in samples]
        return LengthGrouped(lengths, self.params.batch_size * self.params.gradient_accumulation, self.args.seed)

    def _inputs(self, model: Any, forget: Batch, teacher: torch.Tensor | None) -> Inputs:
        """Compute what the method and the retain term look at, and nothing else."""
        needs = set(self.method.needs)
        if self.retain_term:
            needs |= {"retain_logits", "retain_answers", "retain_vanilla"}
        given = Inputs(answer_logits(model, forget), forget.answers)
        if "teacher" in needs and teacher is not None:
            given.teacher = teacher.to(given.logits.device)
        if "vanilla_logits" in needs:
            given.vanilla_logits = self._vanilla(model, forget)
        if "retain_logits" in needs:
            retain = self._draw_retain()
            given.retain_logits, given.retain_answers = answer_logits(model, retain), retain.answers
            if "retain_vanilla" in needs:
                given.retain_vanilla = self._vanilla(model, retain).softmax(-1, dtype=torch.float32)
        if "refusal_logits" in needs:
            refusal = self._refuse(forget)
            given.refusal_logits, given.refusal_answers = answer_logits(model, refusal), refusal.answers
            given.refusal_vanilla_logits = self._vanilla(model, refusal)
        return given

    def _vanilla(self, model: Any, batch: Batch) -> torch.Tensor:
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            return answer_logits(model, batch)

    def _refuse(self, forget: Batch) -> Batch:
        count = len(forget.samples)
        drawn = [self.rng.choice(REFUSALS) for _ in range(count * world())][count * rank() :]
        pairs = zip(forget.samples, drawn[:count], strict=True)
        return self.encoder.batch([replace(sample, answer=answer) for sample, answer in pairs])

    def _draw_retain(self) -> Batch:
        count = min(self.params.retain_batch_size * world(), len(self.retain))
        drawn = share_of(self.rng.sample(self.retain, count))
        self.shown.append(drawn)
        batch = self.encoder.batch(drawn)
        self.tokens += batch.inputs["input_ids"].numel()
        return batch


def retain_loss(given: Inputs) -> torch.Tensor:
    """Return mean_t KL(vanilla || unlearned) over the answer tokens of the retain batch, nats, at least 0."""
    vanilla, logits, answers = given.retain_vanilla, given.retain_logits, given.retain_answers
    if vanilla is None or logits is None or answers is None:
        raise ValueError("the retain term needs the retain batch's logits, answers and vanilla probabilities")
    return mean_kl(vanilla, logits, answers)


class _LossInBar(ProgressCallback):
    """A progress bar with the loss in it, in place of a line a step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Show the last loss."""
        if self.training_bar is not None and "loss" in logs:
            self.training_bar.set_description("unlearning", refresh=False)
            self.training_bar.set_postfix(loss=logs["loss"], refresh=False)
