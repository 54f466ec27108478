"""The probes of a run under way measure what they say and change nothing."""

import copy
import json

import pytest
import torch

from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.models.logits import answer_logits
from viker.teacher.visual import teacher_probabilities
from viker.training.make_trainer import make_trainer
from viker.training.private_tokens import private_values
from viker.training.probes import Probes
from viker.training.settings import UnlearnParams

SHORT = {"epochs": 2, "retain_batch_size": 3, "batch_size": 2, "lr": 0.01}


@pytest.fixture(scope="module")
def records(prepared) -> dict[str, list]:
    return {s: [r for r in read_records(prepared, s) if r.task == "qa"][:6] for s in ("forget", "retain")}


@pytest.fixture
def new_trainer(params, small_model, records):
    model, encoder = small_model
    settings = UnlearnParams(**params.unlearn.model_dump(by_alias=True) | SHORT)
    forget, retain = ([sample_of(record) for record in records[split]] for split in ("forget", "retain"))
    teachers = teacher_probabilities(model, encoder, forget, [["scene-0"]] * len(forget), 3)

    def make():
        torch.manual_seed(0)
        return make_trainer(settings, 7, copy.deepcopy(model), encoder, forget, retain, teachers)

    return make


@pytest.fixture
def trainer(new_trainer):
    return new_trainer()


def weights(trainer) -> list[torch.Tensor]:
    trainer.train()
    return [p.detach().clone() for _, p in trainer.model.named_parameters() if p.requires_grad]


def probing(trainer, path, records, values=None) -> Probes:
    values = private_values(records["forget"], records["retain"]) if values is None else values
    forget, teachers = zip(*trainer.train_dataset, strict=True)
    probes = Probes(path, trainer, forget, teachers, values)
    trainer.add_callback(probes)
    return probes


@torch.no_grad()
def test_a_line_after_each_epoch_has_the_probes_written_out(trainer, records, tmp_path):
    path = tmp_path / "probes.jsonl"
    values = private_values(records["forget"], records["retain"])
    probing(trainer, path, records)
    with torch.enable_grad():
        trainer.train()
    trainer.model.eval()
    teacher_of = dict(trainer.train_dataset)
    likely, after, before, moved = [], [], [], []
    for record in records["forget"]:
        sample = sample_of(record)
        p = probabilities(trainer, sample)[torch.arange(len(ids := trainer.encoder.answer_ids(sample))), ids]
        (value,) = values[record.id]
        begin, places = sample.answer.index(value), trainer.encoder.answer_places(sample)
        inside = torch.tensor([a < begin + len(value) and begin < b for a, b in places])
        likely.append(p[inside].prod())
        taught = teacher_of[sample]
        after += (taught * (taught / probabilities(trainer, sample)).log()).sum(-1).tolist()
        with trainer.model.disable_adapter():
            before += (taught * (taught / probabilities(trainer, sample)).log()).sum(-1).tolist()
    for record in records["retain"]:
        q = probabilities(trainer, sample_of(record))
        with trainer.model.disable_adapter():
            p = probabilities(trainer, sample_of(record))
        moved += (p * (p / q).log()).sum(-1).tolist()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["forget"] == pytest.approx(float(torch.stack(likely).mean()), rel=1e-3)
    assert lines[-1]["teacher"] == pytest.approx(sum(after) / max(sum(before), len(before)), rel=1e-3)
    assert lines[-1]["retain"] == pytest.approx(sum(moved) / len(moved), rel=1e-3, abs=1e-6)


def probabilities(trainer, sample) -> torch.Tensor:
    batch = trainer.encoder.batch([sample])
    return answer_logits(trainer.model, batch)[batch.mask].softmax(-1)


def test_the_adapter_is_the_same_with_and_without_probes(new_trainer, records, tmp_path):
    probed = new_trainer()
    probing(probed, tmp_path / "probes.jsonl", records)
    assert all(map(torch.equal, weights(probed), weights(new_trainer())))


def test_without_private_values_whole_answers_are_probed_and_that_is_said(trainer, records, tmp_path, caplog):
    probes = probing(trainer, tmp_path / "probes.jsonl", records, values={})
    assert "the probes take whole answers instead" in caplog.text
    assert [len(spans[0]) for _, spans, _ in probes.private] == [
        len(trainer.encoder.answer_ids(sample)) for sample, _, _ in probes.private
    ]
