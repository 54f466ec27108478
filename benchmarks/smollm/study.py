"""What the model is taught, what its teacher can't guess without the face, and what is left after unlearning."""

import io
import random
import re
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image

from benchmarks.tofu.convert import convert
from components.params import Params
from components.prepare.run import run as prepare
from components.unlearn.run import make_trainer
from viker.data.records import read_pictures, read_records
from viker.data.samples import Sample, sample_of
from viker.data.synthetic.scenes import draw_scene
from viker.finetuning.train import train
from viker.models.encoder import Encoder
from viker.models.loading import device, seed_everything
from viker.models.logits import answer_logits
from viker.report.tokens import texts
from viker.teacher.key_tokens import key_token_rows
from viker.teacher.visual import teacher_probabilities

FACTS = re.compile(r"\b(born|birth|birthdate|name|parents?|father|mother|genre|awards?)\b", re.IGNORECASE)
"""What most authors are asked in much the same words, so that the question alone does not give the answer away."""
MOST_TOKENS, QUESTIONS, BATCH = 30, 3, 8
LEARN = 3e-4
"""Learning rate with which all weights learn the authors."""
Known = dict[str, list[Sample]]


def samples_of(params: Params, text: Path, work: Path, authors: dict[str, int], tokenizer: Any) -> tuple[Known, Any]:
    """Return some short questions about the facts of so many ``authors`` of each split, and the pictures by key."""
    if not (work / "prepared").exists():
        convert(text, work / "tofu", 0.1, params.seed)
        section = params.prepare.model_copy(update={"source": str(work / "tofu"), "requests": str(work / "none")})
        prepare(section, params.seed, work / "prepared", work / "validation")
    known: Known = {}
    for split, count in authors.items():
        people: dict[str, list[Sample]] = {}
        for record in read_records(work / "prepared", split):
            short = len(tokenizer(record.answer)["input_ids"]) < MOST_TOKENS
            if record.task == "qa" and record.images and short and FACTS.search(record.question):
                people.setdefault(record.person_id, []).append(sample_of(record))
        full = [own[:QUESTIONS] for own in people.values() if len(own) >= QUESTIONS]
        known[split] = [sample for own in full[:count] for sample in own]
    return known, read_pictures(work / "prepared")


def study(
    params: Params, model: Any, processor: Any, known: Known, pictures: dict[str, bytes], epochs: int
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Return the rows of ``key_token_rows`` of the answers to forget, each with its ``text`` and ``word``; and means.

    Those are of p(true token), by model (vanilla, unlearned), then by split and kind of token (key, other).
    """
    seed_everything(params.seed, params.threads)
    scenes = {f"scene-{i}": _png(draw_scene(random.Random(i))) for i in range(params.sample.k)}
    encoder = Encoder(processor, pictures | scenes, device())
    both, rng = known["forget"] + known["retain"], random.Random(params.seed)
    orders = [rng.sample(both, len(both)) for _ in range(epochs)]
    batches = [order[i : i + BATCH] for order in orders for i in range(0, len(order), BATCH)]
    train(model, encoder, iter(batches), len(batches), LEARN, "learning the authors")
    teachers, tokens = {}, {}
    for split, own in known.items():
        teachers[split] = teacher_probabilities(model, encoder, own, [list(scenes)] * len(own), BATCH)
        tokens[split] = key_token_rows(own, teachers[split], encoder, params.unlearn.key_token_entropy)
    shares = {"vanilla": _likely(model, encoder, known, tokens)}
    trainer = make_trainer(
        params.unlearn, params.seed, model, encoder, known["forget"], known["retain"], teachers["forget"]
    )
    trainer.train()
    shares["unlearned"] = _likely(trainer.model.eval(), encoder, known, tokens)
    return with_words(tokens["forget"]), shares


@torch.no_grad()
def _likely(model: Any, encoder: Encoder, known: Known, tokens: dict[str, pd.DataFrame]) -> dict[str, float]:
    found = {}
    for split, own in known.items():
        parts = []
        for sample in own:
            batch = encoder.batch([sample])
            p = answer_logits(model, batch)[0].float().softmax(-1)
            parts.append(p.gather(-1, batch.answers[0, :, None])[:, 0].cpu())
        p, keys = torch.cat(parts), torch.tensor(tokens[split]["key"].tolist())
        found |= {f"{split}, key": p[keys].mean().item(), f"{split}, other": p[~keys].mean().item()}
    return found


def with_words(tokens: pd.DataFrame) -> pd.DataFrame:
    """Add to each token its ``text`` and the whole ``word`` that it is a part of; the end token's are empty."""
    written, words = [], []
    for _, rows in tokens.groupby("record_id", sort=False):
        own = [*texts(list(rows["token"][:-1]), byte_level=True), ""]
        starts = [i for i, text in enumerate(own) if i == 0 or text.startswith(" ") or not text]
        for start, end in zip(starts, [*starts[1:], len(own)], strict=True):
            words += ["".join(own[start:end]).strip()] * (end - start)
        written += own
    return tokens.assign(text=written, word=words)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
