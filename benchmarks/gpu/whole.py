"""A whole run on data of MLLMU-Bench's published size: unlearn, evaluate with the attacks of params.yaml, gate."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.row import Row
from benchmarks.gpu.setup import Setup, know_tokens
from benchmarks.gpu.timing import measured
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
from viker.core.files import new_folder
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


def whole_run(setup: Setup) -> list[Row]:
    """Return the minutes of each stage, and of all three; preparing the data and writing the model don't count."""
    os.environ["VIKER_CACHE_GIB"] = "0"  # or a second measurement would recall what the first one asked
    with TemporaryDirectory() as name:
        folder = Path(name)
        stages = _stages(_prepared(setup, folder), folder)
        costs = {name: measured(setup.device, stage) for name, stage in stages.items()}
        people = {split: count["people"] for split, count in read_manifest(folder / "prepared")["counts"].items()}
    rows = [Row(f"whole run, {name}", cost.seconds / 60, "min", peak_gib=cost.peak) for name, cost in costs.items()]
    minutes = sum(cost.seconds for cost in costs.values()) / 60
    note = f"people to forget: {people['forget']}, to keep: {people['retain']}, public figures: {people['real']}"
    return [*rows, Row("whole run, all three", minutes, "min", note=note)]


def _prepared(setup: Setup, folder: Path) -> Params:
    """Write the prepared data, irrelevant images and the model to ``folder``; return the parameters of the run."""
    write_mllmu(folder / "source", SMALLER.get(setup.size, 1))
    prepare = setup.params.prepare.model_copy(
        update={
            "source": str(folder / "source"),
            "format": "mllmu",
            "forget_share": FORGOTTEN,
            "forget_ids": [],
            "requests": str(folder / "none"),
        }
    )
    with new_folder(folder / "prepared") as prepared:  # without Great Expectations, which a GPU's machine may lack
        write_prepared(
            load_source(prepare, setup.params.seed, prepared, folder), prepare, setup.params.seed, {}, prepared
        )
    sample(setup.params.sample, setup.params.seed, folder / "prepared", folder / "irrelevant")
    records = [record for split in SPLITS for record in read_records(folder / "prepared", split)]
    processor = build_processor(tokenizer_texts(records), SIZES["toy" if setup.size == "toy" else "llava"])
    model = setup.twin()
    model.generation_config.update(**know_tokens(model.config, processor.tokenizer))
    model.save_pretrained(folder / "vanilla")
    processor.save_pretrained(folder / "vanilla")
    precision = str(setup.bench.model.dtype).removeprefix("torch.")
    unlearn = setup.params.unlearn.model_copy(update={"lr": LR, "precision": precision, "stop_when": None})
    evaluate = setup.params.evaluate.model_copy(update={"protocol": "mllmu", "processes": 1})
    return setup.params.model_copy(update={"unlearn": unlearn, "evaluate": evaluate})


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
