"""The model under measurement: LLaVA-1.5 by its configuration, with random weights."""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from benchmarks.gpu.timing import product_ceiling
from benchmarks.unlearn.model import METHODS, SIZES, Bench, questions, vocabulary
from components.contract.params import Params
from pipelines.cli.plan import planned_model
from viker.core.errors import UserError, did_you_mean
from viker.data.samples import Sample
from viker.finetuning.small_llava import IMAGE_TOKEN
from viker.models.loading import device, seed_everything
from viker.teacher.distributions import compact
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams
from viker.training.trainer import UnlearnTrainer

PUBLISHED = {"7b": "llava-hf/llava-1.5-7b-hf", "13b": "llava-hf/llava-1.5-13b-hf"}


@dataclass
class Setup:
    """A model, what it is asked, and how often each pair is timed.

    ``params``: the project's, with this model as the deployed one. ``bench.samples``: the teacher's samples, of which
    other rows take as many as they need. ``folder``: where a whole run works. ``about``: what decides the figures.
    """

    size: str
    params: Params
    bench: Bench
    rounds: int
    folder: Path
    about: dict[str, Any]

    @property
    def device(self) -> torch.device:
        """Return where the model is."""
        where: torch.device = self.bench.model.device
        return where

    @cached_property
    def ceiling(self) -> float:
        """Return the operations per second of a large matrix product in the model's precision."""
        return product_ceiling(self.device, self.bench.model.dtype, self.rounds)

    def section(self, method: str, batch_size: int, checkpointing: bool = False) -> UnlearnParams:
        """Return the settings of an unlearning run of one epoch with nothing but the method's own loss."""
        changes = {
            "method": METHODS[method],
            "batch_size": batch_size,
            "gradient_checkpointing": checkpointing,
            "gradient_accumulation": 1,
            "epochs": 1,
            "precision": str(self.bench.model.dtype).removeprefix("torch."),
            "load_in_4bit": False,
            "shard": False,
            "start_from": None,
            "stop_when": None,
            "target": "none",
        }
        return self.params.unlearn.model_copy(update=changes)

    def taken(self, count: int) -> list[Sample]:
        """Return ``count`` samples; where there are fewer, some come again."""
        samples = self.bench.samples
        return [samples[i % len(samples)] for i in range(count)]

    def twin(self) -> Any:
        """Return a second model on the same weights: an adapter on it leaves the first one as it is."""
        model = self.bench.model
        return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})

    def trainer(self, section: UnlearnParams, forget: Sequence[Sample]) -> UnlearnTrainer:
        """Return a trainer of a fresh adapter on a twin of the model; its teacher is uniform, which costs the same."""
        size = self.bench.model.config.get_text_config().vocab_size
        counts = [self.bench.encoder.encode(sample)[1] for sample in forget]
        teachers = [compact(torch.full((count, size), 1 / size)) for count in counts]
        samples = list(forget)
        seed_everything(self.params.seed, torch.get_num_threads())
        return make_trainer(section, self.params.seed, self.twin(), self.bench.encoder, samples, samples, teachers)


def card() -> str:
    """Return the name of the GPU, or CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def check_size(size: str) -> None:
    """Raise UserError: there is no model of that size, or it needs a GPU and there is none."""
    if size != "toy" and size not in PUBLISHED:
        raise UserError(f"--size: '{size}' is unknown; expected toy, 7b or 13b{did_you_mean(size, PUBLISHED)}")
    if size in PUBLISHED and not torch.cuda.is_available():
        raise UserError(
            f"--size {size} needs a GPU, and torch {torch.__version__} finds none. Run it on a machine with one and a "
            "CUDA build of torch, or take --size toy, which runs on the CPU."
        )


def build(size: str, params: Params, samples: int, rounds: int, folder: Path, about: dict[str, Any]) -> Setup:
    """Return the model named ``size`` on the GPU, or the toy on the CPU where there is none.

    For the other arguments see ``Setup``. Raises UserError: see ``check_size``.
    """
    check_size(size)
    seed_everything(params.seed, params.threads)
    params = with_model(size, params)
    rng = random.Random(0)
    words, processor = vocabulary(params.finetune.model, rng)
    precision = torch.float32 if size == "toy" else torch.bfloat16
    model = random_model(planned_model(params)[1].config, processor, precision)
    return Setup(size, params, questions(model, processor, words, samples, rng), rounds, folder, about)


def with_model(size: str, params: Params) -> Params:
    """Return ``params`` with the model of that size in place of the one to unlearn from."""
    # where the published model is taken, its picture's patches are all that counts of the other sizes
    sizes = SIZES["toy" if size == "toy" else "llava"]
    finetune = params.finetune.model_copy(update={"deployed_model": PUBLISHED.get(size), "model": sizes})
    unlearn = params.unlearn.model_copy(update={"method": METHODS["viker"]})
    return params.model_copy(update={"finetune": finetune, "unlearn": unlearn})


def random_model(config: Any, processor: Any, dtype: torch.dtype) -> Any:
    """Return a model of ``config`` with random weights, in evaluation mode, which knows the processor's tokens."""
    special = know_tokens(config, processor.tokenizer)
    with device():
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype).eval()
    model.generation_config.update(**special)
    return model


def know_tokens(config: Any, tokenizer: Any) -> dict[str, int]:
    """Tell a model's configuration the numbers of the tokenizer's special tokens; return those of its text."""
    config.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    for name, number in special.items():
        setattr(config.get_text_config(), name, number)
    return special
