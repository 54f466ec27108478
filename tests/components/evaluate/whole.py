"""A whole run of evaluate on a small untrained model, for any prepared data."""

import random
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from components.contract.params import load_params
from components.evaluate.run import run
from components.evaluate.stage import Arguments
from tests.conftest import ROOT
from viker.data.records import SPLITS, read_records
from viker.data.synthetic.scenes import draw_scene
from viker.evaluation.settings import EvaluateParams
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.models.loading import language_layers

SIZES = ModelParams(
    image_size=16, patch_size=8, vision_width=16, vision_layers=1, width=32, layers=2, heads=2, vocabulary=400
)


def settings(**changes: Any) -> EvaluateParams:
    """The section evaluate of params.yaml without attacks, of short replies."""
    section = load_params(ROOT / "params.yaml").evaluate.model_dump()
    return EvaluateParams(**section | {"attacks": {}, "max_new_tokens": 6} | changes)


def write_inputs(folder: Path, prepared: Path, precision: torch.dtype = torch.float32) -> None:
    """Write an untrained model of a precision, an adapter that changes what it says, and an irrelevant image."""
    torch.manual_seed(5)
    processor = build_processor(tokenizer_texts([r for split in SPLITS for r in read_records(prepared, split)]), SIZES)
    model = build_model(processor, SIZES).eval().to(precision)
    model.save_pretrained(folder / "vanilla")
    processor.save_pretrained(folder / "vanilla")
    model.name_or_path = str(folder / "vanilla")
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=language_layers(model)))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(folder / "adapter")
    (folder / "irrelevant").mkdir(parents=True, exist_ok=True)
    draw_scene(random.Random(1)).save(folder / "irrelevant/scene-0.png")


def evaluate(folder: Path, prepared: Path, params: EvaluateParams, **changes: Path) -> dict[str, Any]:
    """Run the stage on what ``write_inputs`` wrote."""
    names = {name: folder / name for name in ("vanilla", "adapter", "irrelevant")} | changes
    return run(
        params,
        7,
        1,
        Arguments(
            prepared,
            names["vanilla"],
            names["adapter"],
            names["irrelevant"],
            folder / "predictions.parquet",
            folder / "attacks.parquet",
            folder / "evaluate.json",
            folder / "work",
        ),
    )
