"""A whole run on data of MLLMU-Bench's published size: unlearn, evaluate with the attacks of params.yaml, gate.

It can take longer than a GPU is available for, so an interrupted stage resumes where it stopped.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.gpu.cases import WHOLE
from benchmarks.gpu.clock import Clock, attacks_timed
from benchmarks.gpu.row import Row, figure
from benchmarks.gpu.setup import Setup, know_tokens
from benchmarks.unlearn.model import SIZES
from components.contract.params import Params
from components.evaluate.run import run as evaluate
from components.evaluate.stage import Arguments as Evaluate
from components.gate.run import run as gate
from components.gate.stage import Arguments as Gate
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments as Unlearn
from tests.viker.data.mllmu_data import write_mllmu
from viker.core.errors import UserError
from viker.core.files import new_folder, read_json, write_json
from viker.core.manifest import read_manifest
from viker.data.preparation import load_source, write_prepared
from viker.data.records import SPLITS, read_records
from viker.finetuning.small_llava import build_processor, tokenizer_texts

SMALLER = {"toy": 100}
"""By size of the model: so many times fewer people than published."""
FORGOTTEN = 0.1
"""The share of the people to forget: forget_10, 50 of 500."""
LR = 1e-6
"""Learning rate, so low that no loss diverges on a model that knows nothing."""
LONGEST = 5
"""Attacks that the note of evaluate names."""


def timed_stage(setup: Setup, stage: str) -> list[Row]:
    """Return the minutes of a stage, and with the last one those of all; preparing data and model doesn't count.

    Raises UserError: a stage before it hasn't ended, or it refuses its inputs.
    """
    os.environ["VIKER_CACHE_GIB"] = "0"  # or a second measurement would recall what the first one asked
    folder, params = setup.folder / "whole", _params(setup)
    _prepare(setup, params, folder)
    clock = Clock(folder / "clock.json")
    if before := [name for name in WHOLE[: WHOLE.index(stage)] if not clock.has_ended(name)]:
        raise UserError(f"whole-{before[0]} comes before it, and hasn't ended. Measure it first.")
    with attacks_timed(clock):
        taken = clock.time(setup.device, stage, _stages(params, folder)[stage])
    parts = [f"in {taken.parts} parts, the start of each included"] if taken.parts > 1 else []
    if taken.attacks:
        longest = sorted(taken.attacks.items(), key=lambda item: -item[1])[:LONGEST]
        named = ", ".join(f"{name} {figure(seconds / 60)}" for name, seconds in longest)
        parts.append(f"attacks {figure(sum(taken.attacks.values()) / 60)} min, the longest: {named}")
    rows = [Row(f"whole run, {stage}", taken.seconds / 60, "min", peak_gib=taken.peak, note="; ".join(parts))]
    if stage == WHOLE[-1]:
        minutes = sum(clock.stages[name].seconds for name in WHOLE) / 60
        people = {split: count["people"] for split, count in read_manifest(folder / "prepared")["counts"].items()}
        note = f"people to forget: {people['forget']}, to keep: {people['retain']}, public figures: {people['real']}"
        rows.append(Row("whole run, all three", minutes, "min", note=note))
        shutil.rmtree(folder)
    return rows


def _params(setup: Setup) -> Params:
    precision = str(setup.bench.model.dtype).removeprefix("torch.")
    unlearn = setup.params.unlearn.model_copy(update={"lr": LR, "precision": precision, "stop_when": None})
    evaluate = setup.params.evaluate.model_copy(update={"protocol": "mllmu", "processes": 1})
    return setup.params.model_copy(update={"unlearn": unlearn, "evaluate": evaluate})


def _prepare(setup: Setup, params: Params, folder: Path) -> None:
    """Write prepared data, irrelevant images and the model to ``folder``, unless the same run has written them."""
    ready = folder / "ready.json"
    if ready.is_file() and read_json(ready, "benchmarks.gpu") == setup.about:
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_mllmu(folder / "source", SMALLER.get(setup.size, 1))
    prepare = params.prepare.model_copy(
        update={
            "source": str(folder / "source"),
            "format": "mllmu",
            "forget_share": FORGOTTEN,
            "forget_ids": [],
            "requests": str(folder / "none"),
        }
    )
    with new_folder(folder / "prepared") as prepared:  # without Great Expectations, which a GPU's machine may lack
        write_prepared(load_source(prepare, params.seed, prepared, folder), prepare, params.seed, {}, prepared)
    sample(params.sample, params.seed, folder / "prepared", folder / "irrelevant")
    records = [record for split in SPLITS for record in read_records(folder / "prepared", split)]
    processor = build_processor(tokenizer_texts(records), SIZES["toy" if setup.size == "toy" else "llava"])
    model = setup.twin()
    model.generation_config.update(**know_tokens(model.config, processor.tokenizer))
    model.save_pretrained(folder / "vanilla")
    processor.save_pretrained(folder / "vanilla")
    write_json(ready, setup.about)


def _stages(params: Params, folder: Path) -> dict[str, Callable[[], object]]:
    names = ("prepared", "vanilla", "irrelevant", "adapter", "unlearning", "p.parquet", "a.parquet", "metrics.json")
    prepared, vanilla, irrelevant, adapter, records, replies, attacks, metrics = (folder / name for name in names)
    training = Unlearn(prepared, vanilla, irrelevant, adapter, records, folder / "state")
    asking = Evaluate(prepared, vanilla, adapter, irrelevant, replies, attacks, metrics, folder / "asked")
    judging = Gate(prepared, vanilla, adapter, records, replies, attacks, metrics, folder / "gate.json", enforce=False)
    return {
        "unlearn": lambda: unlearn(params.unlearn, params.seed, params.threads, training),
        "evaluate": lambda: evaluate(params.evaluate, params.seed, params.threads, asking),
        "gate": lambda: gate(params, judging),
    }
