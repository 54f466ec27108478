"""Models with random weights and samples to measure on: the speed of a model does not depend on what it knows."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from viker.data.samples import Sample
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor
from viker.methods.ga import GA
from viker.methods.viker import ViKeR
from viker.models.encoder import Encoder

SIZES = {
    "toy": ModelParams(
        image_size=48, patch_size=12, vision_width=96, vision_layers=2, width=128, layers=3, heads=4, vocabulary=1024
    ),
    # LLaVA-1.5-7B at an eighth of its width and a quarter of its depth, with its 576 image tokens; the words below make
    # about 1,500 tokens, which keeps the head's share of the work small
    "llava": ModelParams(
        image_size=336, patch_size=14, vision_width=128, vision_layers=6, width=512, layers=8, heads=8, vocabulary=4008
    ),
    # at a quarter of its width and depth
    "llava-quarter": ModelParams(
        image_size=336, patch_size=14, vision_width=256, vision_layers=6, width=1024, layers=8, heads=8, vocabulary=8016
    ),
}
METHODS = {"ga": GA(), "viker": ViKeR()}
QUESTION, ANSWER = 20, 30
"""Tokens of question, chat template included, and answer, end token included."""
IMAGES = [f"irrelevant-{i}" for i in range(5)]


@dataclass
class Bench:
    """A model, its encoder, and forget samples, all of whose questions differ."""

    model: Any
    encoder: Encoder
    samples: list[Sample]


def bench(size: str, samples: int) -> Bench:
    """Return the model named ``size`` and ``samples`` samples, see ``questions``."""
    torch.manual_seed(0)
    rng = random.Random(0)
    words, processor = vocabulary(SIZES[size], rng)
    model = build_model(processor, SIZES[size]).eval()
    return questions(model, processor, words, samples, rng)


def vocabulary(sizes: ModelParams, rng: random.Random) -> tuple[list[str], Any]:
    """Return 400 random words and a processor of LLaVA's, its tokenizer trained on them."""
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(400)]
    return words, build_processor([" ".join(rng.choices(words, k=20_000))], sizes)


def questions(model: Any, processor: Any, words: Sequence[str], samples: int, rng: random.Random) -> Bench:
    """Return ``model`` with ``samples`` samples of 4 pictures, questions and answers of random words."""
    side = model.config.vision_config.image_size
    pictures = {name: _noise(side, i) for i, name in enumerate([*IMAGES, "p0", "p1", "p2", "p3"])}
    encoder = Encoder(processor, pictures, model.device)
    whole = [word for word in words if len(processor.tokenizer(f" {word}")["input_ids"]) == 1]
    template = _tail(encoder, model, Sample("", whole[0], whole[0], IMAGES[0])) - 2
    asked = [
        Sample(
            str(i),
            " ".join(rng.choices(whole, k=QUESTION - template)),
            " ".join(rng.choices(whole, k=ANSWER - 1)),
            f"p{i % 4}",
        )
        for i in range(samples)
    ]
    return Bench(model, encoder, asked)


def _tail(encoder: Encoder, model: Any, sample: Sample) -> int:
    ids, _ = encoder.ids(sample.prompt, sample.answer, True)
    return ids[::-1].index(model.config.image_token_id)


def _noise(side: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
