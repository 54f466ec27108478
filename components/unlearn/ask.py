"""Ahead of the training: model and data are loaded, and the teacher is asked, here or by tasks that share the work."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from components.contract.shares import describe_part, record_fallbacks
from viker.core.distributed import processes
from viker.core.files import new_folder, sha256_bytes, sha256_path
from viker.core.result_cache import cached, keep, key_of
from viker.core.run_store import RunStore
from viker.data.irrelevant.assignment import images_of, read_irrelevant
from viker.data.records import Record, read_pictures, read_records
from viker.models import fast_path
from viker.models.encoder import Encoder
from viker.models.fused_layers import ASKING, fuse_layers
from viker.models.loading import computed_by, device, seed_everything
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import TeacherInputs, teach
from viker.training.adapter import check_start
from viker.training.questions import Questions, collect_questions, trained
from viker.training.settings import UnlearnParams
from viker.training.sharding import in_step
from viker.training.start_model import load_start_model
from viker.training.teacher_store import give_chunks, stored_teachers, take_chunks, teach_chunks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """The folders that decide a run, beside its parameters."""

    prepared: Path
    vanilla: Path
    irrelevant: Path


@dataclass(frozen=True)
class Loaded:
    """The model before unlearning, and the data.

    ``records``: of the splits forget and retain; ``questions``: to train on; ``inputs``: what the teacher is asked;
    ``decided``: everything that decides the adapter, see ``deciding``.
    """

    model: Any
    encoder: Encoder
    records: Mapping[str, Sequence[Record]]
    questions: Questions
    inputs: TeacherInputs
    decided: Mapping[str, Any]


def load(params: UnlearnParams, seed: int, threads: int, sources: Sources) -> Loaded:
    """Load the model to start from and the data. Raises UserError: as ``components.unlearn.run.run``."""
    check_start(params)
    seed_everything(seed, threads)
    records = {split: read_records(sources.prepared, split) for split in ("forget", "retain")}
    asked = [record.id for record in trained(records["forget"], params.text_questions)]
    irrelevant, assigned = read_irrelevant(sources.irrelevant)
    images = dict(zip(asked, images_of(assigned, asked), strict=True))
    model, processor = load_start_model(params, sources.vanilla)
    encoder = Encoder(processor, read_pictures(sources.prepared) | irrelevant, device())
    questions = collect_questions(params, seed, model, encoder, records, str(sources.prepared))
    if params.on_gpu(model.device.type):
        fuse_layers(model, encoder, questions.forget, ASKING)
    decided = deciding(params, seed, threads, sources)
    decided |= {"questions": sha256_bytes(repr(questions.forget).encode())}
    return Loaded(model, encoder, records, questions, questions.teacher_inputs(images), decided)


def deciding(params: UnlearnParams, seed: int, threads: int, sources: Sources) -> dict[str, Any]:
    """Return everything that decides the adapter, but for the number of processes: state of another run is useless."""
    return {
        "unlearn": params.model_dump(by_alias=True, exclude={"checkpoint_steps", "checkpoint_minutes", "start_from"}),
        "seed": seed,
        "threads": threads,
        "data": sha256_path(sources.prepared / "manifest.json"),
        "vanilla": sha256_path(sources.vanilla),
        "irrelevant": sha256_path(sources.irrelevant),
        "start_from": params.start_from and sha256_path(Path(params.start_from)),
    }


def ask_part(
    params: UnlearnParams, seed: int, threads: int, sources: Sources, share: tuple[int, int], work: Path, out: Path
) -> int:
    """Ask the teacher of every n-th chunk of samples, from the i-th on, ``share`` = (i, n); return how many they were.

    ``work`` holds what was asked until the task is over. ``out``: the distributions, what decides them, and fallbacks.

    Raises UserError: as ``load``.
    """
    fast_path.start_run()
    loaded = load(params, seed, threads, sources)
    store = RunStore(work, loaded.decided, share)
    files = teach_chunks(store, len(loaded.inputs.samples), _ask(loaded, params.method.teachers))
    with new_folder(out) as folder:
        _write(store, loaded.decided, folder)
    store.close()
    return len(files)


def ask_teacher(store: RunStore, loaded: Loaded, weights: Mapping[str, float]) -> list[TeacherDistributions]:
    """Return the teachers' distributions of each forget sample, mixed by their ``weights``.

    Where no teacher is wanted, the paper's is asked for the records of key tokens.
    """
    if without := loaded.inputs.people.nameless(loaded.inputs.samples):
        log.warning(
            "%d forget records without a picture name nobody that was found, such as %s: their teacher knows what the "
            "question alone tells. Name the person in the question, as in the person's other records.",
            len(without),
            without[0],
        )
    teachers = stored_teachers(store, len(loaded.inputs.samples), _ask(loaded, weights))
    fallbacks = fast_path.fallbacks()  # of all processes
    if processes().is_main_process:  # a run that resumes with these teachers records how they were computed
        fast_path.record_again(store.result(["teacher's fallbacks"], lambda: fallbacks))
    return teachers


def teacher_key(params: UnlearnParams, decided: Mapping[str, Any]) -> str | None:
    """Return the key of the teacher's distributions in the cache: everything that decides them, and nothing else.

    None where a run can't share them: with several processes, whose shares differ in the last digits, and where the
    method trains from a model of its own.
    """
    if processes().num_processes > 1 or params.method.start_model is not None:
        return None
    names = ("seed", "threads", "data", "vanilla", "irrelevant", "start_from", "questions")
    settings = params.model_dump(include={"precision", "load_in_4bit", "attention", "text_questions"})
    teachers = list((params.method.teachers or {"irrelevant": 1.0}).items())
    deciding = {"teachers": teachers, "settings": settings, **{name: decided[name] for name in names}}
    return key_of("teacher", {**deciding, **computed_by()})


def ask_or_recall(store: RunStore, loaded: Loaded, params: UnlearnParams) -> list[TeacherDistributions]:
    """Return ``ask_teacher``'s distributions, from the cache where an earlier run has asked for the same."""
    key = None if any(store.folder.glob("teacher-*")) else teacher_key(params, loaded.decided)
    with cached(key, "the teacher's distributions") as folder:
        if folder is not None:
            record_fallbacks(folder, "unlearn")
            take_chunks(store, folder)
    teachers = ask_teacher(store, loaded, params.method.teachers)
    if key is not None and folder is None:
        keep(key, partial(_write, store, loaded.decided))
    return teachers


def _write(store: RunStore, decided: Mapping[str, Any], folder: Path) -> None:
    describe_part(folder, decided)
    give_chunks(store, folder)


def _ask(loaded: Loaded, weights: Mapping[str, float]) -> Any:
    return partial(_teach, loaded, weights or {"irrelevant": 1.0})


def _teach(loaded: Loaded, weights: Mapping[str, float], numbers: Sequence[int]) -> list[TeacherDistributions]:
    model, encoder = loaded.model, loaded.encoder
    with in_step(model, lambda: answer_logits(model, encoder.batch(loaded.inputs.samples[:1]))):
        return teach(FrozenModel(model, encoder), loaded.inputs.of(numbers), weights)
