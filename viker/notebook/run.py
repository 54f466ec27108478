"""Unlearning in a notebook: from a model and data frames to an adapter and its metrics."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from viker.core.errors import UserError
from viker.core.settings import validated
from viker.data.frames import read_frame, read_image
from viker.data.records import SPLITS, Record
from viker.data.samples import Sample
from viker.evaluation.predictions import MODELS, predict
from viker.evaluation.questions import build_questions
from viker.evaluation.settings import EvaluateParams
from viker.metrics.base.aggregate import measure
from viker.metrics.base.catalogue import metrics_of
from viker.models import fast_path
from viker.models.encoder import Encoder
from viker.models.loading import load_model, seed_everything
from viker.teacher.heat_map import HeatMap, explain, irrelevant_images
from viker.teacher.key_tokens import key_token_rows
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import teach
from viker.training.adapter import save_adapter
from viker.training.hold import questions_to_hold
from viker.training.loss_curve import loss_curve
from viker.training.make_trainer import make_trainer
from viker.training.questions import collect_questions
from viker.training.settings import UnlearnParams
from viker.training.target import target_of

DEFAULTS: dict[str, Any] = {
    "method": {"name": "viker", "retain": {"term": "kl", "weight": 5.0}},
    "text_questions": True,
    "own_replies": True,
    "retain_batch_size": 16,
    "epochs": 12,
    "batch_size": 2,
    "gradient_accumulation": 1,
    "group_by_length": False,
    "lr": 1e-3,
    "lr_scheduler": "constant",
    "warmup": 0.0,
    "max_grad_norm": 1.0,
    "stop_when": None,
    "precision": "float32",
    "load_in_4bit": False,
    "shard": False,
    "attention": "sdpa",
    "gradient_checkpointing": False,
    "start_from": None,
    "lora_r": 8,
    "lora_alpha": 16,
    "checkpoint_steps": 10**9,  # a run in a notebook isn't resumed
    "key_token_entropy": 0.5,
}
"""The section unlearn of params.yaml; ``unlearn`` takes each key as an argument."""
_AS_GIVEN = ("precision", "load_in_4bit", "shard", "checkpoint_steps")
"""What a model that is loaded already has, or a notebook doesn't do."""


class Unlearned:
    """A model with the adapter that forgets, and what the run recorded.

    ``model``: the PEFT model; ``with model.disable_adapter():`` it is the model as it was. ``loss``: one row per step.
    ``key_tokens``: one row per token of the answers to forget, see ``viker.teacher.key_tokens``.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        splits: dict[str, list[Record]],
        pictures: dict[str, bytes],
        irrelevant: dict[str, bytes],
        seed: int,
    ) -> None:
        """Take the model to ask and what there is to ask it about."""
        self.model, self.processor, self.seed = model, processor, seed
        self.splits, self.irrelevant = splits, irrelevant
        self.encoder = Encoder(processor, pictures | irrelevant, next(model.parameters()).device)
        self.loss, self.key_tokens = pd.DataFrame(), pd.DataFrame()

    def evaluate(self, batch_size: int = 16, max_new_tokens: int | None = None) -> pd.DataFrame:
        """Ask both models every question and return the main metrics, a row per split and metric, a column per model.

        ``metrics`` then has all of them, as metrics/evaluate.json does, and ``replies`` each reply. Questions with a
        picture and without are in one row each.
        """
        params = EvaluateParams(
            batch_size=batch_size, protocol="viker", max_new_tokens=max_new_tokens, retrained=None, attacks={}
        )
        questions = build_questions({split: self.splits.get(split, []) for split in SPLITS}, params.in_force())
        tables = predict(self.model, self.encoder, questions, next(iter(self.irrelevant)), params)
        self.replies = pd.concat([tables[name].assign(model=name) for name in MODELS], ignore_index=True)
        self.metrics: dict[str, Any] = {name: measure(tables[name], self.seed) for name in MODELS}
        shown = [metric for metric in metrics_of("split") if metric.prominence != "full"]
        rows = [
            {"split": split, "questions": kind, "metric": metric.heading}
            | {name: block(name, split)[metric.name] for name in MODELS}
            for kind, block in (
                ("with picture", lambda name, split: self.metrics[name][split]),
                ("text only", lambda name, split: self.metrics[name][split]["text_only"]),
            )
            for split in self.splits
            for metric in shown
        ]
        table = pd.DataFrame(rows).dropna(subset=list(MODELS), how="all")
        return table.set_index(["split", "questions", "metric"])

    def explain(self, sample: Any) -> HeatMap:
        """Return the key-token heat map of a row of the forget frame; see ``viker.teacher.explain``."""
        return explain(self.model, self.processor, sample, list(self.irrelevant.values()))

    @torch.no_grad()
    def ask(self, question: str, image: Any = None, vanilla: bool = False, max_new_tokens: int = 50) -> str:
        """Return the reply of the unlearned model, or of the ``vanilla`` one. Raises UserError: no such picture."""
        from contextlib import nullcontext

        content = read_image(image, "ask")
        encoder = Encoder(self.processor, {"picture": content} if content else {}, self.encoder.device)
        inputs = encoder.prompts([Sample("asked", question, "", "picture" if content else "")])
        with self.model.disable_adapter() if vanilla else nullcontext():
            ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        return str(encoder.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()

    def save(self, folder: str | Path) -> Path:
        """Write the adapter to a folder, in PEFT's format, and return it."""
        save_adapter(self.model, Path(folder))
        return Path(folder)


def load(name: str) -> tuple[Any, Any]:
    """Return an image-text-to-text model, by folder or hub name, and its processor; raises what ``load_model`` does."""
    return load_model(name, "viker.load")


def unlearn(
    model: Any,
    processor: Any,
    forget: pd.DataFrame,
    retain: pd.DataFrame,
    *,
    test: pd.DataFrame | None = None,
    real: pd.DataFrame | None = None,
    images: Sequence[Any] | None = None,
    seed: int = 7,
    **settings: Any,
) -> Unlearned:
    """Train an adapter that makes a model forget, and return both; nothing is written.

    Args:
        model: an image-text-to-text model; it gets the adapter, and its own weights stay as they are.
        processor: its processor.
        forget: the questions to forget, a row each: person, image, question, answer and optionally private, see
            ``viker.data.frames``.
        retain: questions about people to keep, likewise: for the retain term and the metrics.
        test: for the metrics alone: other pictures and wordings of the people to forget.
        real: for the metrics alone: public figures.
        images: irrelevant images for the teacher; None: drawn landscapes.
        seed: of the batches, the adapter and the intervals.
        settings: keys of the section unlearn of params.yaml, such as ``method="npo"`` or ``epochs=5``.

    Raises UserError: a setting or a frame is not as expected, the model has an adapter already, or the loss diverges.
    """
    if hasattr(model, "peft_config"):
        raise UserError("the model has an adapter already: give the base model ('run.model.unload()' returns it).")
    if unfit := [name for name in _AS_GIVEN if name in settings]:
        raise UserError(f"viker.unlearn: {', '.join(unfit)}: not in a notebook. Load the model as it is to be.")
    params = validated(UnlearnParams, DEFAULTS | settings, Path("viker.unlearn"))
    if params.method.start_model is not None:
        raise UserError(f"viker.unlearn: the method {params.method.name} trains another model: use 'viker unlearn'.")
    frames = {"forget": forget, "retain": retain, "test": test, "real": real}
    read = {split: read_frame(frame, split) for split, frame in frames.items() if frame is not None}
    splits = {split: records for split, (records, _) in read.items()}
    pictures = {key: content for _, own in read.values() for key, content in own.items()}
    irrelevant = irrelevant_images(images)
    seed_everything(seed, torch.get_num_threads())
    fast_path.start_run()
    processor.tokenizer.padding_side = "left"
    model.eval()
    run = Unlearned(model, processor, splits, pictures, irrelevant, seed)
    questions = collect_questions(params, seed, model, run.encoder, splits, "forget and retain")
    inputs = questions.teacher_inputs({record.id: tuple(irrelevant) for record in splits["forget"]})
    teachers = teach(FrozenModel(model, run.encoder), inputs, params.method.teachers or {"irrelevant": 1.0})
    everybody = [record for own in splits.values() for record in own]
    target = target_of(params, FrozenModel(model, run.encoder), inputs, teachers, everybody)
    with tempfile.TemporaryDirectory() as scratch:  # Trainer wants a folder
        invented = questions_to_hold(
            params, seed, run.encoder, questions.forget, questions.retain, questions.people.names
        )
        asked = (questions.forget, questions.retain, teachers, Path(scratch), invented, target)
        trainer = make_trainer(params, seed, model, run.encoder, *asked)
        trainer.train()
    run.model = trainer.model.eval()
    run.loss = loss_curve(trainer)
    run.key_tokens = key_token_rows(questions.forget, teachers, run.encoder, target.keys)
    return run
