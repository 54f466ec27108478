"""ViKeR from top to bottom: load, ask the teacher, train the adapter, save it with the evidence."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from components.contract.shares import accept_part
from components.unlearn.ask import Sources, ask_or_recall, load
from components.unlearn.stage import Arguments
from viker.core.console import TERMINATED, on_sigterm
from viker.core.distributed import check_launch, processes
from viker.core.errors import UserError
from viker.core.files import new_file, sha256_path
from viker.core.run_store import RunStore
from viker.data.records import Record
from viker.data.rephrased import BY_NAME, OWN_REPLY
from viker.evidence.training_summary import write_summary
from viker.methods.base.method import MethodSettings
from viker.metrics.base.floors import summarised
from viker.models import fast_path
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions
from viker.teacher.key_tokens import entropy_histogram, key_token_rows
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import TeacherInputs
from viker.teacher.visual_reliance import visual_reliance
from viker.training.adapter import save_adapter
from viker.training.checkpoint import (
    SaveCheckpoints,
    close_store,
    newest_checkpoint,
    open_store,
    restore,
)
from viker.training.divergence_guard import Diverged
from viker.training.hold import questions_to_hold
from viker.training.loss_curve import loss_curve
from viker.training.make_trainer import make_trainer
from viker.training.mlflow_callback import StepLogger
from viker.training.private_tokens import floor_warning, private_token_rows
from viker.training.probes import Probes
from viker.training.settings import UnlearnParams
from viker.training.sharding import in_step
from viker.training.target import target_of
from viker.training.teacher_store import take_chunks
from viker.training.trainer import UnlearnTrainer

log = logging.getLogger(__name__)


def run(params: UnlearnParams, seed: int, threads: int, args: Arguments) -> dict[str, Any]:
    """Write the adapter to ``out``, the loss curve and the key tokens to ``records``; return the run's summary.

    ``state_folder`` holds the run's state until it is over: killed at any moment, the same call resumes from there.
    Under `accelerate launch` all processes call this, with the same arguments; ``batch_size`` and
    ``retain_batch_size`` are then per process.

    Raises:
        UserError: an input is missing, the model can't be loaded or is too short for a record,
            ``unlearn.start_from`` doesn't fit, or the loss diverges; the last good adapter is then next to ``out``.
        SystemExit: 143, after SIGTERM: the state is saved.
    """
    check_launch()
    processes()
    began = time.perf_counter()
    fast_path.start_run()
    loaded = load(params, seed, threads, Sources(args.prepared, args.vanilla, args.irrelevant))
    for folder in args.teachers or ():
        accept_part("--teachers", folder, "unlearn", loaded.decided)
    model, encoder, inputs, questions = loaded.model, loaded.encoder, loaded.inputs, loaded.questions
    forget, retain = questions.forget, questions.retain

    store = open_store(args.state, {**loaded.decided, "processes": processes().num_processes})
    for folder in args.teachers or ():
        take_chunks(store, folder)
    teachers = ask_or_recall(store, loaded, params)
    everybody = [record for own in loaded.records.values() for record in own]
    with in_step(model, lambda: answer_logits(model, encoder.batch(forget[:1]))):
        target = target_of(params, FrozenModel(model, encoder), inputs, teachers, everybody)
    private, reliance = private_tokens(model, encoder, questions.records, inputs, target.distributions, params.method)
    taught = time.perf_counter()

    invented = questions_to_hold(params, seed, encoder, forget, retain, questions.people.names)
    trainer = make_trainer(params, seed, model, encoder, forget, retain, teachers, args.state, invented, target)
    trainer.add_callback(StepLogger(trainer))
    if args.probes is not None:
        trainer.add_callback(Probes(args.probes, trainer, forget, target.distributions, questions.values))
    try:
        train_or_resume(trainer, store, params.checkpoint_minutes)
    except Diverged as error:
        last_good = args.out.with_name(f"{args.out.name}.last_good")
        if processes().is_main_process:
            save_adapter(trainer.model, last_good)
        raise UserError(f"{error} {last_good} holds the adapter as it was before that step.") from None

    tokens = key_token_rows(forget, teachers, encoder, target.keys)
    curve = loss_curve(trainer)
    summary = {
        "method": params.described,
        "samples": len(trainer.train_dataset),
        "asked_by_name": sum(sample.record_id.endswith(BY_NAME) for sample in forget),
        "own_replies": sum(sample.record_id.endswith(OWN_REPLY) for sample in forget),
        "steps": len(curve),
        "trained_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "tokens": len(tokens),
        "key_tokens": int(tokens["key"].sum()),
        "text_questions_without_a_name": len(questions.people.nameless(forget)),
        "private_tokens": summarised(private),
        "visual_reliance": reliance,
        "start_from": params.start_from and sha256_path(Path(params.start_from)),
    } | (target.record | fast_path.engine_record())
    if params.start_from is not None:
        held = trainer.held
        summary["held"] = held and {"questions": len(held.samples), "divergence": held.divergence}
    if processes().is_main_process:
        save_adapter(trainer.model, args.out)
        write_records(args.records, tokens, private, curve)
        write_summary(args.records, summary, args.out)
    close_store(store)
    return summary | {"teacher_seconds": taught - began, "seconds": time.perf_counter() - began}


def private_tokens(
    model: Any,
    encoder: Encoder,
    forget: Sequence[Record],
    inputs: TeacherInputs,
    teachers: Sequence[TeacherDistributions],
    method: MethodSettings,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the private tokens and how much the model relies on pictures; warn of what can't be forgotten."""
    whose = {record.id: record.person_id for record in forget}
    values = {s.record_id: own for s, own in zip(inputs.samples, inputs.values, strict=True)}
    with in_step(model, lambda: answer_logits(model, encoder.batch(inputs.samples[:1]))):
        rows = private_token_rows(model, encoder, inputs.samples, teachers, values, whose, method)
        reliance = visual_reliance(model, encoder, inputs.samples, inputs.images, values, whose)
    if (warning := floor_warning(rows)) and processes().is_main_process:
        log.warning("%s", warning)
    return rows, reliance


def train_or_resume(trainer: UnlearnTrainer, store: RunStore, minutes: float) -> None:
    """Train from the newest checkpoint of ``store``, or from the beginning; write one after so many minutes.

    Raises SystemExit: 143 after SIGTERM, which Kubernetes sends before it evicts a pod; a checkpoint is saved first.
    """
    checkpoints = SaveCheckpoints(trainer, store, minutes)
    trainer.add_callback(checkpoints)
    checkpoint = newest_checkpoint(store)
    if checkpoint is not None:
        restore(trainer, checkpoint)
    with on_sigterm(checkpoints.request_stop):
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    if checkpoints.stop_requested:
        raise SystemExit(TERMINATED)


def write_records(folder: Path, tokens: pd.DataFrame, private: pd.DataFrame, curve: pd.DataFrame) -> None:
    """Write the run's records: key tokens, private tokens, the histogram of the teacher's entropy, loss curve."""
    for name, table in (("key_tokens", tokens), ("private_tokens", private)):
        with new_file(folder / f"{name}.parquet") as path:
            table.to_parquet(path, index=False)
    for name, table in (("entropy", entropy_histogram(tokens)), ("loss", curve)):
        with new_file(folder / f"{name}.csv") as path:
            table.to_csv(path, index=False)
