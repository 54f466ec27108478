"""What tests of answering share: a small model on disk, adapters that change its answers, and a picture."""

import io
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from viker.models.loading import language_layers, load_model

QUESTION = "Where was this person born?"


def png(size: tuple[int, int] = (20, 20), colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def damaged(png: bytes) -> bytes:
    """A PNG with one bit of its pixels turned, whatever the encoder wrote there."""
    place = png.index(b"IDAT") + 10
    return png[:place] + bytes([png[place] ^ 0x10]) + png[place + 1 :]


def write_base(small_model: Any, folder: Path) -> Path:
    model, encoder = small_model
    model.save_pretrained(folder)
    encoder.processor.save_pretrained(folder)
    return folder


def write_adapter(base: Path, folder: Path, seed: int, rank: int = 2) -> Path:
    """An adapter that changes the answers."""
    model, _ = load_model(str(base), "test")
    adapted = get_peft_model(model, LoraConfig(r=rank, target_modules=language_layers(model), init_lora_weights=False))
    torch.manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.5)
    adapted.save_pretrained(folder)
    return folder
