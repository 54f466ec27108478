"""Ahead of the training: model and data are loaded, and the teacher is asked, here or by tasks that share the work."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from components.contract.shares import describe_part
from viker.core.distributed import processes
from viker.core.files import new_folder, sha256_path
from viker.core.run_store import RunStore
from viker.data.irrelevant.assignment import images_of, read_irrelevant
from viker.data.records import Record, read_pictures, read_records
from viker.data.samples import Sample, sample_of
from viker.models import fast_path
from viker.models.context_length import need_context
from viker.models.encoder import Encoder
from viker.models.loading import device, seed_everything
from viker.models.logits import answer_logits
from viker.teacher.distributions import TeacherDistributions
from viker.teacher.people import People
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import TeacherInputs, teach
from viker.training.adapter import check_start
from viker.training.private_tokens import private_values
from viker.training.settings import UnlearnParams
from viker.training.sharding import in_step
from viker.training.start_model import load_start_model
from viker.training.teacher_store import stored_teachers, teach_chunks

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

    ``records``: of the splits forget and retain; ``forget``, ``retain``: the questions to train on; ``values``: the
    private values in the answers of both, by record ID; ``inputs``: what the teacher is asked.
    """

    model: Any
    encoder: Encoder
    records: Mapping[str, Sequence[Record]]
    forget: list[Sample]
    retain: list[Sample]
    values: Mapping[str, Sequence[str]]
    inputs: TeacherInputs


def load(params: UnlearnParams, seed: int, threads: int, sources: Sources) -> Loaded:
    """Load the model to start from and the data. Raises UserError: as ``components.unlearn.run.run``."""
    check_start(params)
    seed_everything(seed, threads)
    records = {split: read_records(sources.prepared, split) for split in ("forget", "retain")}
    forget = questions(records["forget"], params.text_questions)
    retain = questions(records["retain"])
    images, assigned = read_irrelevant(sources.irrelevant)
    teacher_images = images_of(assigned, [sample.record_id for sample in forget])
    model, processor = load_start_model(params, sources.vanilla)
    encoder = Encoder(processor, read_pictures(sources.prepared) | images, device())
    need_context(model, encoder, forget + retain, str(sources.prepared))
    values = private_values(records["forget"], records["retain"])
    people = People.among(records["forget"], records["retain"], seed)
    inputs = TeacherInputs(forget, teacher_images, [values[s.record_id] for s in forget], people)
    return Loaded(model, encoder, records, forget, retain, values, inputs)


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
    decided = deciding(params, seed, threads, sources)
    store = RunStore(work, decided, share)
    files = teach_chunks(store, len(loaded.forget), _ask(loaded, params.method.teachers))
    with new_folder(out) as folder:
        describe_part(folder, decided)
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
    store.close()
    return len(files)


def ask_teacher(store: RunStore, loaded: Loaded, weights: Mapping[str, float]) -> list[TeacherDistributions]:
    """Return the teachers' distributions of each forget sample, mixed by their ``weights``.

    Where no teacher is wanted, the paper's is asked for the records of key tokens.
    """
    if without := loaded.inputs.people.nameless(loaded.forget):
        log.warning(
            "%d forget records without a picture name nobody that was found, such as %s: their teacher knows what the "
            "question alone tells. Name the person in the question, as in the person's other records.",
            len(without),
            without[0],
        )
    teachers = stored_teachers(store, len(loaded.forget), _ask(loaded, weights))
    fallbacks = fast_path.fallbacks()  # of all processes
    if processes().is_main_process:  # a run that resumes with these teachers records how they were computed
        fast_path.record_again(store.result(["teacher's fallbacks"], lambda: fallbacks))
    return teachers


def _ask(loaded: Loaded, weights: Mapping[str, float]) -> Any:
    return partial(_teach, loaded, weights or {"irrelevant": 1.0})


def _teach(loaded: Loaded, weights: Mapping[str, float], numbers: Sequence[int]) -> list[TeacherDistributions]:
    model, encoder = loaded.model, loaded.encoder
    with in_step(model, lambda: answer_logits(model, encoder.batch(loaded.forget[:1]))):
        return teach(FrozenModel(model, encoder), loaded.inputs.of(numbers), weights)


def questions(records: Sequence[Record], with_text: bool = False) -> list[Sample]:
    """Return the questions to train on, and ``with_text`` the open ones that come without a picture."""
    kinds = {("qa", "image_text"), ("qa", "text")} | ({("generation", "text")} if with_text else set())
    return [sample_of(record) for record in records if (record.task, record.modality) in kinds]
