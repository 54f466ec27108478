"""ViKeR from top to bottom: load, ask the teacher, train the adapter, save it with the evidence."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils.data import Dataset
from transformers import TrainingArguments

from viker.core.console import TERMINATED, on_sigterm
from viker.core.distributed import first, join, together, world
from viker.core.errors import UserError
from viker.core.files import new_file, new_folder, sha256_path, write_json
from viker.data.irrelevant_images import images_of, read_irrelevant
from viker.data.records import read_pictures, read_records
from viker.methods.registry import METHODS
from viker.models import fast_path
from viker.models.chat import Encoder, Sample, answer_logits, sample_of
from viker.models.context_length import need_context
from viker.models.loading import device, load_model, resolve_model, seed_everything
from viker.models.vision_features import reuse_features
from viker.teacher.compact import Kept
from viker.teacher.key_tokens import entropy_histogram, key_token_rows
from viker.teacher.visual import TEACHER_BATCH, kept_teachers
from viker.training.adapter import check_start, put_adapter
from viker.training.checkpoint import KeepState, State, restore
from viker.training.divergence_guard import Diverged
from viker.training.early_stop import StopWhenForgotten
from viker.training.mlflow_callback import TellTracking
from viker.training.settings import UnlearnParams
from viker.training.sharding import in_step, leave_to_fsdp, load_in_turn
from viker.training.trainer import UnlearnTrainer

PARTS = ("loss", "ga", "kl", "retain")
"""The columns that the loss curve has for every method."""


class TrainingSet(Dataset[tuple[Sample, Kept | None]]):
    """The samples to train on, each with its teacher's distributions, or None where the loss takes none."""

    def __init__(self, samples: Sequence[Sample], teachers: Sequence[Kept] | None) -> None:
        """Pair samples with teachers."""
        given: Sequence[Kept | None] = teachers or [None] * len(samples)
        self.rows = list(zip(samples, given, strict=True))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Sample, Kept | None]:
        """Return one sample and its teacher [T, V]."""
        return self.rows[index]


def run(
    params: UnlearnParams,
    seed: int,
    threads: int,
    prepared: Path,
    vanilla: Path,
    irrelevant: Path,
    out: Path,
    records: Path,
    state_folder: Path,
) -> dict[str, Any]:
    """Write the adapter to ``out``, the loss curve and the key tokens to ``records``; return what was done.

    ``state_folder`` keeps the run's state until it is over: killed at any moment, the same call goes on from there.
    Under `accelerate launch` all processes call this, with the same arguments; ``batch_size`` and
    ``retain_batch_size`` are then those of each.

    Raises:
        UserError: an input is missing, the model can't be loaded or is too short for a record,
            ``unlearn.start_from`` doesn't fit, or the loss diverges; the last good adapter is then beside ``out``.
        SystemExit: 143, after SIGTERM: the state is saved.
    """
    check_start(params)
    join()
    fast_path.start_run()
    seed_everything(seed, threads)
    began = time.perf_counter()
    forget = [sample_of(r) for r in read_records(prepared, "forget") if r.task == "qa"]
    retain = [sample_of(r) for r in read_records(prepared, "retain") if r.task == "qa"]
    images, assigned = read_irrelevant(irrelevant)
    shown = images_of(assigned, [sample.record_id for sample in forget])
    model, processor = _load(params, vanilla)
    encoder = Encoder(processor, read_pictures(prepared) | images, device())
    need_context(model, encoder, forget + retain, str(prepared))

    state = State(state_folder, _inputs(params, seed, threads, prepared, vanilla, irrelevant))
    seen = [[""]] * len(forget) if params.teacher == "text_only" else shown

    def teach(own: Sequence[int]) -> list[Kept]:
        with in_step(model, lambda: answer_logits(model, encoder.batch(forget[:1]))):
            return kept_teachers(model, encoder, [forget[i] for i in own], [seen[i] for i in own], TEACHER_BATCH)

    teachers = state.teachers(len(forget), teach)
    taught = time.perf_counter()

    trainer = make_trainer(params, seed, model, encoder, forget, retain, teachers, state_folder)
    trainer.add_callback(TellTracking(trainer))
    try:
        train_or_resume(trainer, state)
    except Diverged as error:
        last_good = out.with_name(f"{out.name}.last_good")
        if first():
            _save(trainer.model, last_good)
        raise UserError(f"{error} {last_good} holds the adapter as it was before that step.") from None

    tokens = key_token_rows(forget, teachers, encoder, params.key_token_entropy)
    curve = loss_curve(trainer)
    summary = {
        "method": params.method,
        "samples": len(trainer.train_dataset),
        "steps": len(curve),
        "trained_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "tokens": len(tokens),
        "key_tokens": int(tokens["key"].sum()),
        "start_from": params.start_from and sha256_path(Path(params.start_from)),
    } | fast_path.engine_record()
    if first():
        _save(trainer.model, out)
        with new_file(records / "key_tokens.parquet") as path:
            tokens.to_parquet(path, index=False)
        with new_file(records / "entropy.csv") as path:
            entropy_histogram(tokens).to_csv(path, index=False)
        with new_file(records / "loss.csv") as path:
            curve.to_csv(path, index=False)
        write_json(records / "summary.json", summary)
    state.close()
    return summary | {"teacher_seconds": taught - began, "seconds": time.perf_counter() - began}


def make_trainer(
    params: UnlearnParams,
    seed: int,
    model: Any,
    encoder: Encoder,
    forget: list[Sample],
    retain: list[Sample],
    teachers: Sequence[Kept],
    checkpoints: Path | None = None,
) -> UnlearnTrainer:
    """Put the adapter on the language model and return the trainer that unlearns ``forget`` with it.

    The method 'retrain' learns ``retain`` instead. The trainer saves checkpoints to the folder ``checkpoints``, if
    that is given.
    """
    unlearns = METHODS[params.method].unlearns
    taught = "teacher" in METHODS[params.method].needs and params.teacher != "none"
    model.set_attn_implementation(params.attention)
    encoder_with_features = reuse_features(model, encoder, forget)
    adapted = put_adapter(params, model)
    leave_to_fsdp(adapted)
    trainer = UnlearnTrainer(
        params,
        encoder_with_features,
        retain,
        seed,
        model=adapted,
        args=training_arguments(params, seed, checkpoints),
        train_dataset=TrainingSet(forget if unlearns else retain, teachers if taught else None),
    )
    if params.stop_when is not None:
        bound = params.stop_when.key_token_probability
        trainer.add_callback(StopWhenForgotten(encoder, forget, teachers, params.key_token_entropy, bound))
    return trainer


def train_or_resume(trainer: UnlearnTrainer, state: State) -> None:
    """Train from the newest checkpoint of ``state``, or from the beginning.

    Raises:
        SystemExit: 143 after SIGTERM, which Kubernetes sends before it evicts a pod; a checkpoint is saved first.
    """
    keep = KeepState(trainer)
    trainer.add_callback(keep)
    checkpoint = state.newest_checkpoint()
    if checkpoint is not None:
        restore(trainer, checkpoint)
    with on_sigterm(keep.request_stop):
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    if keep.stop_requested:
        raise SystemExit(TERMINATED)


def _inputs(
    params: UnlearnParams, seed: int, threads: int, prepared: Path, vanilla: Path, irrelevant: Path
) -> dict[str, Any]:
    """Return what decides the adapter: a state of other inputs is of no use."""
    return {
        "unlearn": params.model_dump(by_alias=True, exclude={"checkpoint_steps"}),
        "seed": seed,
        "threads": threads,
        "processes": world(),
        "data": sha256_path(prepared / "manifest.json"),
        "vanilla": sha256_path(vanilla),
        "irrelevant": sha256_path(irrelevant),
        "start_from": params.start_from and sha256_path(Path(params.start_from)),
    }


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
        save_strategy="steps" if checkpoints else "no",
        save_steps=params.checkpoint_steps,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=False,  # Trainer takes a quiet console for no wish for progress
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
        full_determinism=False,
        ddp_find_unused_parameters=False,
    )


def loss_curve(trainer: UnlearnTrainer) -> pd.DataFrame:
    """Return a row a step: step, epoch, loss and its parts, learning rate and norm of the gradient.

    ``loss``, ``ga``, ``kl`` and ``retain`` are always there, empty where the method has no such part; then come the
    method's own. Under accumulation a value is the mean over the step's batches.
    """
    steps = [row for row in trainer.state.log_history if "grad_norm" in row]
    parts = {name: trainer.parts.get(name) for name in dict.fromkeys((*PARTS, *trainer.parts))}
    frame = pd.DataFrame({name: values if values else [float("nan")] * len(steps) for name, values in parts.items()})
    frame.insert(0, "step", [row["step"] for row in steps])
    frame.insert(1, "epoch", [row["epoch"] for row in steps])
    frame["lr"] = [row["learning_rate"] for row in steps]
    frame["grad_norm"] = [row["grad_norm"] for row in steps]
    return frame


def _load(params: UnlearnParams, vanilla: Path) -> tuple[Any, Any]:
    """Load the model to train and its processor: the vanilla one, or for 'retrain' the one before it."""
    retrain = params.method == "retrain"
    name = str(params.base_model) if retrain else resolve_model(vanilla)
    where = "unlearn.base_model" if retrain else str(vanilla)
    processors = []

    def load(on: torch.device) -> Any:
        model, processor = load_model(name, where, params.load_in_4bit, on)
        for parameter in model.parameters():  # not the buffers: rotary positions need float32
            if parameter.is_floating_point():  # what is in 4 bits stays so
                parameter.data = parameter.data.to(getattr(torch, params.precision))
        processors.append(processor)
        return model

    sharded = params.shard and together()
    model = load_in_turn(lambda: load(torch.device("cpu")), device()) if sharded else load(device())
    return model, processors[0]


def _save(adapted: Any, folder: Path) -> None:
    with new_folder(folder) as temporary:
        adapted.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)
