"""Questions that name the person: the paper's teacher knows the answer, warns, and fails; another teacher forgets."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.nn import functional

from components.contract.params import load_params
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.conftest import ROOT
from viker.core.files import read_json
from viker.data.names import names_in_text
from viker.data.records import read_pictures, read_records, write_records
from viker.data.samples import Sample, sample_of
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.models.adapter import load_adapter
from viker.models.encoder import IGNORED, Encoder
from viker.models.loading import load_model
from viker.models.logits import answer_logits
from viker.teacher.private_places import places_of_each
from viker.training.private_tokens import private_values
from viker.training.settings import UnlearnParams

SIZES = ModelParams(
    image_size=16, patch_size=8, vision_width=16, vision_layers=1, width=32, layers=2, heads=2, vocabulary=400
)
LEARNT = 0.95
MOST_STEPS = 3000


@pytest.fixture(scope="module")
def named(prepared, tmp_path_factory) -> Path:
    """Prepared data whose questions about pictures name the person."""
    folder = tmp_path_factory.mktemp("named") / "prepared"
    shutil.copytree(prepared, folder)
    records = {split: read_records(folder, split) for split in ("forget", "retain")}
    names = names_in_text(record for own in records.values() for record in own)
    for split, own in records.items():
        asked = [replace(r, question=f"{names[r.id]}: {r.question}") if r.task == "qa" and r.images else r for r in own]
        write_records(folder / f"{split}.parquet", [r for r in asked if r.task == "qa" and r.images])
    return folder


def private(encoder: Encoder, samples: list[Sample], values) -> list[tuple[Sample, list[int]]]:
    """The samples with private values, and the places of each value's first token: the rest may follow by spelling."""
    each = ((s, places_of_each(encoder, s, values[s.record_id])) for s in samples)
    return [(s, [places[0] for places in own]) for s, own in each if own]


def told(model, encoder: Encoder, asked: list[tuple[Sample, list[int]]]) -> float:
    """The mean probability of the private values' first tokens."""
    with torch.no_grad():
        batch = encoder.batch([s for s, _ in asked])
        p = answer_logits(model, batch).softmax(-1)
    rows = [
        row[mask].gather(-1, encoder.answer_ids(s)[:, None])[places]
        for row, mask, (s, places) in zip(p, batch.mask, asked, strict=True)
    ]
    return float(torch.cat(rows).mean())


@pytest.fixture(scope="module")
def trained(named, tmp_path_factory):
    """A model that knows the answers from the names alone: each question was shown with everybody's pictures."""
    torch.manual_seed(5)
    records = [r for split in ("forget", "retain") for r in read_records(named, split)]
    processor = build_processor(tokenizer_texts(records), SIZES)
    model = build_model(processor, SIZES)
    pictures = read_pictures(named)
    encoder = Encoder(processor, pictures, torch.device("cpu"))
    samples, shown = [sample_of(r) for r in records], sorted({r.images[0] for r in records})
    asked = private(encoder, samples, {r.id: r.secrets for r in records})
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step in range(MOST_STEPS):
        order = torch.randperm(len(samples))[:32].tolist()
        batch = encoder.batch([replace(samples[n], picture=shown[(n + step) % len(shown)]) for n in order])
        logits = answer_logits(model, batch)
        functional.cross_entropy(logits.flatten(0, 1), batch.answers.flatten(), ignore_index=IGNORED).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 49 and told(model.eval(), encoder, asked) > LEARNT:
            break
    else:
        pytest.fail(f"private values are not learnt after {MOST_STEPS} steps: {told(model, encoder, asked):.2f}")
    folder = tmp_path_factory.mktemp("trained")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def forgotten(named, trained, tmp_path_factory) -> Callable[..., tuple[float, dict, pd.DataFrame]]:
    work = tmp_path_factory.mktemp("work")
    settings = load_params(ROOT / "params.yaml")
    sample(settings.sample, 7, named, work / "images")

    def run(teacher: str) -> tuple[float, dict, pd.DataFrame]:
        method = {"name": "viker", "lambda": 2.0, "teacher": teacher}
        section = settings.unlearn.model_dump(by_alias=True)
        section |= {"method": method, "epochs": 30, "lr": 3e-3, "text_questions": False}
        out = work / teacher
        paths = Arguments(named, trained, work / "images", out / "adapter", out / "records", out / "state")
        unlearn(UnlearnParams(**section), 7, 1, paths)
        model, processor = load_model(str(trained), "vanilla")
        model = load_adapter(model, out / "adapter")
        records = {split: read_records(named, split) for split in ("forget", "retain")}
        encoder = Encoder(processor, read_pictures(named), torch.device("cpu"))
        values = private_values(records["forget"], records["retain"])
        asked = private(encoder, [sample_of(r) for r in records["forget"]], values)
        rows = pd.read_parquet(out / "records/private_tokens.parquet")
        return told(model.eval(), encoder, asked), read_json(out / "records/summary.json", "unlearn"), rows

    return run


def first_floor(rows: pd.DataFrame) -> float:
    return float(rows.groupby(["record_id", "value"], sort=False)["floor"].first().mean())


@pytest.mark.slow
def test_what_the_name_tells_is_kept_by_the_papers_teacher_and_forgotten_by_another(forgotten, caplog):
    kept, summary, rows = forgotten("irrelevant")
    assert "private values can't be forgotten with these settings" in caplog.text
    assert summary["private_tokens"]["values_kept"] > 0
    assert summary["visual_reliance"]["own"] > 0.9 and abs(summary["visual_reliance"]["reliance"]) < 0.1
    assert kept == pytest.approx(first_floor(rows), abs=0.1)  # the floor is where the training ends
    caplog.clear()
    gone, summary, rows = forgotten("counterfactual")
    assert "can't be forgotten" not in caplog.text and summary["private_tokens"]["values_kept"] == 0
    assert gone == pytest.approx(first_floor(rows), abs=0.1)
    assert gone < 0.2 and kept > 0.6
