"""One seed: its data, its vanilla model, a model that never saw the people to forget, and every setting's epochs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from transformers import TrainerCallback

from benchmarks.demo.settings import RULES, settings
from components.contract.params import Params
from components.finetune.run import run as finetune
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from viker.data.irrelevant.assignment import images_of, read_irrelevant
from viker.data.records import SPLITS, read_pictures, read_records, write_records
from viker.data.samples import sample_of
from viker.data.settings import PrepareParams
from viker.evaluation.predictions import predict
from viker.evaluation.questions import Question, build_questions
from viker.finetuning.settings import FinetuneParams
from viker.gate.rules import apply_rule, parse_rule
from viker.metrics.base.aggregate import measure
from viker.models.encoder import Encoder
from viker.models.loading import device, language_layers, load_model, seed_everything
from viker.teacher.visual import teacher_probabilities
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams

Row = dict[str, Any]


def measure_seed(params: Params, seed: int, work: Path) -> list[Row]:
    """Return a row an epoch and setting, one of the vanilla model and one of the model that never saw the people.

    What is made on the way stays in ``work``, and is used again.
    """
    data, images, vanilla = make_vanilla(params, seed, work)
    never = work / "never_saw"
    if not never.exists():
        with _without_forget(data, work / "retain_only") as kept:
            finetune(from_scratch(params), seed, params.threads, kept, never)

    rows: list[Row] = [
        {"setting": name, "epoch": 0} | _Study(params, seed, data, images, model).untouched()
        for name, model in {"vanilla": vanilla, "never saw them": never}.items()
    ]
    for name, unlearn in settings(params.unlearn).items():
        study = _Study(params, seed, data, images, vanilla)
        rows += [{"setting": name} | row for row in study.unlearn(unlearn, name)]
    return [{"seed": seed} | row for row in rows]


def make_vanilla(params: Params, seed: int, work: Path) -> tuple[Path, Path, Path]:
    """Return the seed's data, irrelevant images and vanilla model in ``work``, made where they aren't there yet."""
    data, images, vanilla = (work / name for name in ("prepared", "irrelevant", "vanilla"))
    if not data.exists():
        prepare(with_base_set(params), seed, data, work / "validation")
        sample(params.sample, seed, data, images)
    if not vanilla.exists():
        finetune(from_scratch(params), seed, params.threads, data, vanilla)
    return data, images, vanilla


def with_base_set(params: Params) -> PrepareParams:
    """Return the section prepare with the samples about nobody that a model trained from scratch needs."""
    return params.prepare.model_copy(update={"base_set": True})


def from_scratch(params: Params) -> FinetuneParams:
    """Return the section finetune with the recipe of the demo's model in place of the model itself."""
    return params.finetune.model_copy(update={"deployed_model": None})


@contextmanager
def _without_forget(data: Path, copy: Path) -> Iterator[Path]:
    shutil.copytree(data, copy, dirs_exist_ok=True)
    write_records(copy / "forget.parquet", [])
    yield copy
    shutil.rmtree(copy)


class _Study:
    """A model with its data, ready to be unlearnt from and questioned."""

    def __init__(self, params: Params, seed: int, data: Path, images: Path, model: Path) -> None:
        """Load everything anew: an adapter must not meet another one's traces."""
        seed_everything(seed, params.threads)
        self.params, self.seed = params, seed
        self.records = {split: read_records(data, split) for split in SPLITS}
        self.irrelevant, self.assigned = read_irrelevant(images)
        self.model, processor = load_model(str(model), "the benchmark's model")
        self.encoder = Encoder(processor, read_pictures(data) | self.irrelevant, device())

    def untouched(self) -> Row:
        """Return the figures of the model as it is."""
        lora = LoraConfig(target_modules=language_layers(self.model))
        return self._figures(get_peft_model(self.model, lora).eval(), "vanilla")

    def unlearn(self, unlearn: UnlearnParams, name: str) -> list[Row]:
        """Return the figures after every epoch; after the last also whether the full evaluation meets ``RULES``."""
        qa = {split: [sample_of(r) for r in self.records[split] if r.task == "qa"] for split in ("forget", "retain")}
        images = images_of(self.assigned, [sample.record_id for sample in qa["forget"]])
        teachers = teacher_probabilities(self.model, self.encoder, qa["forget"], images, 8)
        trainer = make_trainer(unlearn, self.seed, self.model, self.encoder, qa["forget"], qa["retain"], teachers)
        study, rows = self, []

        class AfterEpoch(TrainerCallback):
            """Questions the model when an epoch is over."""

            def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                """Add a row."""
                trainer.model.eval()
                rows.append({"epoch": round(state.epoch)} | study._figures(trainer.model, "unlearned"))
                trainer.model.train()
                print(name, rows[-1], flush=True)

        trainer.add_callback(AfterEpoch())
        trainer.train()
        rows[-1] |= self._verdict(trainer.model.eval())
        return rows

    def _figures(self, model: Any, name: str) -> Row:
        """Return what open questions about pictures show."""
        tables = self._ask(model, [q for q in self._asked() if q.record.task == "generation" and q.sample.picture])
        m = measure(tables[name], self.seed)
        rows = tables[name]
        return {
            "forget_leakage": m["forget"]["leakage_rate"],
            "test_leakage": m["test"]["leakage_rate"],
            "retain_accuracy": m["retain"]["leakage_rate"],
            "forget_gibberish": float(rows[rows["split"] == "forget"]["gibberish"].mean()),
            "gibberish": m["fluency"]["gibberish_rate"],
        }

    def _verdict(self, model: Any) -> Row:
        metrics = {name: measure(table, self.seed) for name, table in self._ask(model, self._asked()).items()}
        failed = [rule for rule in RULES if not apply_rule(parse_rule(rule), metrics)["passed"]]
        return {"verdict": "fail" if failed else "pass", "failed": "; ".join(failed)}

    def _asked(self) -> list[Question]:
        bare = {split: [replace(r, perturbed_answers=()) for r in own] for split, own in self.records.items()}
        return build_questions(bare, self.params.evaluate.in_force())

    def _ask(self, model: Any, asked: list[Question]) -> dict[str, Any]:
        return predict(model, self.encoder, asked, next(iter(self.irrelevant)), self.params.evaluate)
