"""The trainer of a run, put together from the run's parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from viker.data.samples import Sample
from viker.methods.base.method import method_of
from viker.methods.base.refusals import REFUSALS
from viker.models.encoder import Encoder
from viker.models.fused_layers import fuse_layers
from viker.models.right_padding import without_mask
from viker.models.vision_features import reuse_features
from viker.teacher.distributions import TeacherDistributions
from viker.teacher.key_tokens import find_key_tokens
from viker.training.adapter import freeze_above, put_adapter
from viker.training.early_stop import StopWhenForgotten
from viker.training.hold import HOLD_BATCH, most_changed
from viker.training.settings import UnlearnParams
from viker.training.sharding import leave_to_fsdp
from viker.training.target import Target
from viker.training.trainer import UnlearnTrainer


def make_trainer(
    params: UnlearnParams,
    seed: int,
    model: Any,
    encoder: Encoder,
    forget: list[Sample],
    retain: list[Sample],
    teachers: Sequence[TeacherDistributions],
    checkpoints: Path | None = None,
    invented: Sequence[Sample] = (),
    target: Target | None = None,
) -> UnlearnTrainer:
    """Put the adapter on the language model and return the trainer that unlearns ``forget`` with it.

    A method that doesn't unlearn learns ``retain`` instead. Checkpoints go to the folder ``checkpoints``, if any.
    ``invented``: questions about invented people, on which the starting model is held, see ``viker.training.hold``.
    The loss takes the ``target``'s distributions, if there is one, in place of the ``teachers``'.

    Raises UserError: ``unlearn.stop_when`` has no key token to measure, or the model lacks the layer whose hidden
        states the method takes.
    """
    method = method_of(params.method)
    taught = method.takes_teacher(params.method) and bool(teachers)
    samples = forget if method.unlearns else retain
    followed = target.distributions if target else teachers
    no_teachers: list[TeacherDistributions | None] = [None] * len(samples)
    model.set_attn_implementation(params.attention)
    trained_on = reuse_features(model, encoder, forget)
    on_gpu = params.on_gpu(model.device.type)
    if on_gpu:
        trained_on = without_mask(model, trained_on, forget)
    adapted = put_adapter(params, model)
    if on_gpu:
        fuse_layers(adapted, trained_on, forget)
    freeze_above(params, adapted)
    leave_to_fsdp(adapted)
    trainer = UnlearnTrainer(
        params,
        trained_on,
        retain,
        seed,
        target.refusals if target and target.refusals else REFUSALS,
        model=adapted,
        args=training_arguments(params, seed, checkpoints),
        train_dataset=list(zip(samples, followed if taught else no_teachers, strict=True)),
    )
    trainer.find_saliency(forget)
    if invented:
        trainer.held = most_changed(adapted, trained_on, invented, params.hold.questions, HOLD_BATCH)
    if params.stop_when is not None:
        mark = params.key_token_entropy, params.key_token_mark
        keys = target.keys if target else find_key_tokens(forget, teachers, encoder, *mark)
        bound = params.stop_when.key_token_probability
        trainer.add_callback(StopWhenForgotten(encoder, forget, keys, bound, params))
    return trainer


def training_arguments(params: UnlearnParams, seed: int, checkpoints: Path | None) -> TrainingArguments:
    """Return Trainer's settings: AdamW, nothing reported elsewhere."""
    return TrainingArguments(
        output_dir=str(checkpoints or "unlearning"),
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.batch_size,
        learning_rate=params.lr,
        gradient_accumulation_steps=params.gradient_accumulation,
        lr_scheduler_type="constant_with_warmup" if params.lr_scheduler == "constant" else params.lr_scheduler,
        warmup_steps=params.warmup,
        weight_decay=0.0,
        max_grad_norm=params.max_grad_norm,
        gradient_checkpointing=params.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        seed=seed,
        data_seed=seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # ``UnlearnTrainer`` stops at such a loss
        save_strategy="steps" if checkpoints else "no",
        save_steps=params.checkpoint_steps,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=False,  # a quiet console would otherwise make Trainer hide its progress bar
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
    )
