"""The unlearning step, as a Trainer: the method's loss on the forget batch, plus the retain term if there is one."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn.utils import get_total_norm
from torch.utils.data import DataLoader
from transformers import ProgressCallback, Trainer

from viker.core.distributed import mean, processes, share_of
from viker.data.samples import Sample
from viker.methods.base.method import REFUSED, Inputs, RetainTerm, method_of
from viker.methods.base.refusals import REFUSALS
from viker.methods.base.tokens import mean_kl, mean_log_likelihood
from viker.models.encoder import Batch, Encoder
from viker.models.hidden_states import decoder_layers, kept_states
from viker.models.library_hooks import switch_adapter
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions, pad_teachers
from viker.training.divergence_guard import check
from viker.training.hold import Held
from viker.training.length_batches import LengthGrouped
from viker.training.saliency import masked_ascent, saliency_mask
from viker.training.settings import UnlearnParams


def retain_loss(term: RetainTerm, tensors: Inputs) -> torch.Tensor:
    """Return the retain term, a mean over the answer tokens of the retain batch, nats, at least 0; see RetainTerm."""
    values: list[Any] = [getattr(tensors, name) for name in term.needs]
    return mean_kl(*values) if term.term == "kl" else -mean_log_likelihood(*values)


class UnlearnTrainer(Trainer):
    """Trains a LoRA adapter to forget; the frozen model is the same one with the adapter switched off.

    ``parts``: for each part of the loss its value at every step so far, the mean over the step's batches. ``tokens``:
    how many input tokens have been trained on, padding included.
    """

    def __init__(
        self,
        params: UnlearnParams,
        encoder: Encoder,
        retain: list[Sample],
        seed: int,
        refusals: Sequence[str] = REFUSALS,
        **others: Any,
    ) -> None:
        """Take the unlearning parameters, the retain samples and refusals to draw from, and Trainer's own arguments."""
        super().__init__(data_collator=self._collate, **others)
        self.remove_callback(ProgressCallback)
        self.add_callback(_LossInBar)
        self.params = params
        self.method = method_of(params.method)
        self.needs = params.inputs
        self.refusals = refusals
        self.layer = params.method.hidden_layer(len(decoder_layers(self.model))) if "hidden" in self.needs else None
        self.saliency: dict[str, torch.Tensor] | None = None
        self.held: Held | None = None
        self.encoder = encoder
        self.retain = retain
        self.rng = random.Random(seed)
        self.parts: dict[str, list[float]] = defaultdict(list)
        self.step_parts: list[dict[str, float]] = []
        self.step_samples: list[Sequence[Sample]] = []
        self.tokens = 0
        self.adapter_layers = [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]

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

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as Trainer does, every module in training mode: a new adapter is, and the model that it is on isn't."""
        self.model.train()
        return super().train(*args, **kwargs)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Compute loss and gradient of one batch; after a step's last batch check the gradient before it is taken.

        Trainer's own sets the mode each time, module by module: with the 3,000 of LLaVA-1.5 7B that takes 8 ms, while a
        GPU waits. Here it is set again only where something was measured in between.

        Raises Diverged: the loss, or the gradient's norm before clipping, is NaN, infinite or exploded.
        """
        if not model.training:
            model.train()
        loss = self.compute_loss(model, inputs) / self.current_gradient_accumulation_steps
        self.accelerator.backward(loss)
        if self.accelerator.sync_gradients:
            trained = (p for group in self.optimizer.param_groups for p in group["params"])
            norm = get_total_norm([p.grad for p in trained if p.grad is not None])
            check("gradient's norm", float(norm), self.state.global_step + 1, self.step_samples)
            for name in self.step_parts[0]:
                values = [parts[name] for parts in self.step_parts]
                self.parts[name].append(sum(values) / len(values))
            self.step_parts, self.step_samples = [], []
        return loss.detach()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return the method's loss plus the weighted terms on a fresh retain batch, and on one of what is held.

        With the target refuse, plus -mean_t log p of the tokens of refusals to the forget batch's questions, nats.

        Raises Diverged: the loss is NaN, infinite or exploded.
        """
        self.step_samples.append(inputs["forget"].samples)
        self.tokens += inputs["forget"].inputs["input_ids"].numel()
        tensors = self._inputs(model, inputs["forget"], inputs["teacher"])
        parts = self.method(tensors, self.params.method)
        if (term := self.params.method.retain).active:
            parts["retain"] = retain_loss(term, tensors)
            parts["loss"] = parts["loss"] + term.weight * parts["retain"]
        if self.held is not None:
            parts["hold"] = self._hold_loss(model, self.held)
            parts["loss"] = parts["loss"] + self.params.hold.weight * parts["hold"]
        if self.params.target == "refuse":
            refused: list[Any] = [getattr(tensors, name) for name in REFUSED]
            parts["refusal_nll"] = -mean_log_likelihood(*refused)
            parts["loss"] = parts["loss"] + parts["refusal_nll"]
        means = mean(torch.stack([value.detach().float() for value in parts.values()])).tolist()
        values = dict(zip(parts, means, strict=True))
        check("loss", values["loss"], self.state.global_step + 1, self.step_samples)
        self.step_parts.append(values)
        if self.saliency is None:
            return parts["loss"]
        return masked_ascent(parts["loss"], parts["ga"], self.accelerator.unwrap_model(model), self.saliency)

    def find_saliency(self, forget: Sequence[Sample]) -> None:
        """Find which of the adapter's weights forget, before the first step, where the method asks for it."""
        self.saliency = saliency_mask(self.model, self.encoder, forget, self.retain, self.params.method)

    def _inputs(self, model: Any, forget: Batch, teacher: torch.Tensor | None) -> Inputs:
        """Compute the tensors that the method and the retain term take, and nothing else."""
        needs = self.needs
        retain = self._draw_retain() if "retain_answers" in needs else None
        (logits, hidden), *of_retain = self._forward_all(model, [forget] if retain is None else [forget, retain])
        tensors = Inputs(logits, forget.answers, hidden=hidden)
        if "teacher" in needs and teacher is not None:
            tensors.teacher = teacher.to(tensors.logits.device)
        if "vanilla_logits" in needs:
            tensors.vanilla_logits, _ = self._vanilla(model, forget)
        if retain is not None:
            [(tensors.retain_logits, tensors.retain_hidden)], tensors.retain_answers = of_retain, retain.answers
            if needs & {"retain_vanilla", "retain_vanilla_hidden"}:
                vanilla, tensors.retain_vanilla_hidden = self._vanilla(model, retain)
                if "retain_vanilla" in needs:
                    tensors.retain_vanilla = vanilla.softmax(-1, dtype=torch.float32)
        if "refusal_answers" in needs:
            refusal = self._refuse(forget)
            (tensors.refusal_logits, _), tensors.refusal_answers = self._forward(model, refusal), refusal.answers
            if "refusal_vanilla_logits" in needs:
                tensors.refusal_vanilla_logits, _ = self._vanilla(model, refusal)
        return tensors

    def _forward_all(self, model: Any, batches: Sequence[Batch]) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Return ``_forward`` of each batch; without a mask in one pass, since a GPU waits for each pass's launches."""
        if len(batches) == 1 or not (self.encoder.right_padded and self.params.in_one_pass):
            return [self._forward(model, batch) for batch in batches]
        logits = answer_logits(model, self.encoder.batch([sample for batch in batches for sample in batch.samples]))
        parts = logits.split([len(batch.samples) for batch in batches])
        return [(part[:, -batch.answers.shape[1] :], None) for part, batch in zip(parts, batches, strict=True)]

    def _forward(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the batch's logits [B, N, V], and [B, N, D] of ``hidden_layer`` where the method takes it."""
        if self.layer is None:
            return answer_logits(model, batch), None
        with kept_states(model, self.layer, batch) as kept:
            return answer_logits(model, batch), kept[0]

    def _vanilla(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        switch_adapter(self.adapter_layers, on=False)
        try:
            with torch.no_grad():
                return self._forward(model, batch)
        finally:
            switch_adapter(self.adapter_layers, on=True)

    def _refuse(self, forget: Batch) -> Batch:
        """Answer the forget batch's questions with refusals; every process draws those of all, and takes its own."""
        count = len(forget.samples)
        state = processes()
        drawn = [self.rng.choice(self.refusals) for _ in range(count * state.num_processes)]
        pairs = zip(forget.samples, drawn[count * state.process_index :][:count], strict=True)
        return self.encoder.batch([replace(sample, answer=answer) for sample, answer in pairs])

    def _draw_retain(self) -> Batch:
        """Draw retain samples without replacement."""
        drawn = self._draw(self.retain, self.params.retain_batch_size)
        self.step_samples.append(drawn)
        batch = self.encoder.batch(drawn)
        self.tokens += batch.inputs["input_ids"].numel()
        return batch

    def _hold_loss(self, model: Any, held: Held) -> torch.Tensor:
        """Return mean_t KL(starting model || unlearned) on questions about invented people, nats, at least 0."""
        drawn = self._draw(range(len(held.samples)), self.params.retain_batch_size)
        batch = self.encoder.batch([held.samples[number] for number in drawn])
        self.step_samples.append(batch.samples)
        self.tokens += batch.inputs["input_ids"].numel()
        said = pad_teachers([held.said[number] for number in drawn], batch.answers.shape[1])
        return mean_kl(said.to(batch.answers.device), answer_logits(model, batch), batch.answers)

    def _draw(self, what: Sequence[Any], count: int) -> Sequence[Any]:
        """Draw ``count`` for each process without replacement; every process draws those of all, takes its own."""
        return share_of(self.rng.sample(what, min(count * processes().num_processes, len(what))))


class _LossInBar(ProgressCallback):
    """A progress bar that shows the loss, instead of one line per step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Show the last loss."""
        if self.training_bar is not None and "loss" in logs:
            self.training_bar.set_description("unlearning", refresh=False)
            self.training_bar.set_postfix(loss=logs["loss"], refresh=False)
