"""A whole run of evaluate on a small untrained model, for any prepared data."""

import json
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


def write_inputs(folder: Path, prepared: Path, published: bool = False) -> None:
    """Write an untrained model, an adapter that changes what it says, and an irrelevant image.

    ``published``: the model in the files of llava-hf/llava-1.5-7b-hf, float16 in several shards.
    """
    torch.manual_seed(5)
    processor = build_processor(tokenizer_texts([r for split in SPLITS for r in read_records(prepared, split)]), SIZES)
    model = build_model(processor, SIZES).eval()
    if published:
        model = model.half()
    model.save_pretrained(folder / "vanilla", max_shard_size="50KB" if published else "5GB")
    processor.save_pretrained(folder / "vanilla")
    if published:
        _divide(folder / "vanilla")
    model.name_or_path = str(folder / "vanilla")
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=language_layers(model)))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(folder / "adapter")
    (folder / "irrelevant").mkdir(parents=True, exist_ok=True)
    draw_scene(random.Random(1)).save(folder / "irrelevant/scene-0.png")


def _divide(folder: Path) -> None:
    """Put the picture processor and the chat template into files of their own, as that model's repository has them."""
    assert len([*folder.glob("model-*-of-*.safetensors")]) > 1
    whole = json.loads((folder / "processor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(whole.pop("image_processor")))
    (folder / "processor_config.json").write_text(json.dumps(whole))
    template = folder / "chat_template.jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
    template.unlink()


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
