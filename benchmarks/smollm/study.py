"""The study: what the model learns, what its teacher can't guess without the face, what unlearning leaves."""

import io
import random
import re
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image

from benchmarks.tofu.convert import convert
from components.contract.params import Params
from components.prepare.run import run as prepare
from viker.data.records import read_pictures, read_records
from viker.data.samples import Sample, sample_of
from viker.data.synthetic.scenes import draw_scene
from viker.finetuning.train import train
from viker.models.encoder import Encoder
from viker.models.loading import device, seed_everything
from viker.models.logits import answer_logits
from viker.models.token_texts import texts
from viker.teacher.key_tokens import find_key_tokens, key_token_rows
from viker.teacher.visual import teacher_probabilities
from viker.training.make_trainer import make_trainer

FACTS = re.compile(r"\b(born|birth|birthdate|name|parents?|father|mother|genre|awards?)\b", re.IGNORECASE)
"""Topics that most authors are asked about in similar words, so that the question alone doesn't give the answer."""
MOST_TOKENS, QUESTIONS, BATCH = 30, 3, 8
LEARN = 3e-4
"""Learning rate with which all weights learn the authors."""
Samples = dict[str, list[Sample]]
"""By split."""


def samples_of(params: Params, text: Path, work: Path, authors: dict[str, int], tokenizer: Any) -> tuple[Samples, Any]:
    """Return short questions about facts of as many people per split as ``authors`` says, and the pictures by key."""
    if not (work / "prepared").exists():
        convert(text, work / "tofu", 0.1, params.seed)
        section = params.prepare.model_copy(update={"source": str(work / "tofu"), "requests": str(work / "none")})
        prepare(section, params.seed, work / "prepared", work / "validation")
    samples: Samples = {}
    for split, count in authors.items():
        people: dict[str, list[Sample]] = {}
        for record in read_records(work / "prepared", split):
            short = len(tokenizer(record.answer)["input_ids"]) < MOST_TOKENS
            if record.task == "qa" and record.images and short and FACTS.search(record.question):
                people.setdefault(record.person_id, []).append(sample_of(record))
        full = [questions[:QUESTIONS] for questions in people.values() if len(questions) >= QUESTIONS]
        samples[split] = [sample for questions in full[:count] for sample in questions]
    return samples, read_pictures(work / "prepared")


def study(
    params: Params, model: Any, processor: Any, samples: Samples, pictures: dict[str, bytes], epochs: int
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Return the rows of ``key_token_rows`` of the answers to forget, each with its ``text`` and ``word``; and means.

    Those are of p(true token), by model (vanilla, unlearned), then by split and kind of token (key, other).
    """
    seed_everything(params.seed, params.threads)
    scenes = {f"scene-{i}": _png(draw_scene(random.Random(i))) for i in range(params.sample.k)}
    encoder = Encoder(processor, pictures | scenes, device())
    both, rng = samples["forget"] + samples["retain"], random.Random(params.seed)
    orders = [rng.sample(both, len(both)) for _ in range(epochs)]
    batches = [order[i : i + BATCH] for order in orders for i in range(0, len(order), BATCH)]
    train(model, encoder, iter(batches), len(batches), LEARN, "learning the authors")
    teachers, tokens = {}, {}
    for split, of_split in samples.items():
        teachers[split] = teacher_probabilities(model, encoder, of_split, [list(scenes)] * len(of_split), BATCH)
        keys = find_key_tokens(of_split, teachers[split], encoder, params.unlearn.key_token_entropy)
        tokens[split] = key_token_rows(of_split, teachers[split], encoder, keys)
    shares = {"vanilla": _likely(model, encoder, samples, tokens)}
    trainer = make_trainer(
        params.unlearn, params.seed, model, encoder, samples["forget"], samples["retain"], teachers["forget"]
    )
    trainer.train()
    shares["unlearned"] = _likely(trainer.model.eval(), encoder, samples, tokens)
    return with_words(tokens["forget"]), shares


@torch.no_grad()
def _likely(model: Any, encoder: Encoder, samples: Samples, tokens: dict[str, pd.DataFrame]) -> dict[str, float]:
    means: dict[str, float] = {}
    for split, of_split in samples.items():
        parts = []
        for sample in of_split:
            batch = encoder.batch([sample])
            p = answer_logits(model, batch)[0].float().softmax(-1)
            parts.append(p.gather(-1, batch.answers[0, :, None])[:, 0].cpu())
        p, keys = torch.cat(parts), torch.tensor(tokens[split]["key"].tolist())
        means |= {f"{split}, key": p[keys].mean().item(), f"{split}, other": p[~keys].mean().item()}
    return means


def with_words(tokens: pd.DataFrame) -> pd.DataFrame:
    """Add to each token its ``text`` and the whole ``word`` that it is a part of; the end token's are empty."""
    written, words = [], []
    for _, rows in tokens.groupby("record_id", sort=False):
        pieces = [*texts(list(rows["token"][:-1]), True), ""]
        starts = [i for i, text in enumerate(pieces) if i == 0 or text.startswith(" ") or not text]
        for start, end in zip(starts, [*starts[1:], len(pieces)], strict=True):
            words += ["".join(pieces[start:end]).strip()] * (end - start)
        written += pieces
    return tokens.assign(text=written, word=words)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
