"""What keeps earlier requests forgotten: invented people, chosen by what the adapter changed, and the term on them."""

import copy
import logging

import pytest
import torch

from viker.data.records import open_picture
from viker.data.samples import Sample
from viker.methods.base.tokens import divergence, log_probabilities
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.teacher.distributions import full
from viker.training.adapter import put_adapter
from viker.training.hold import invented_people, most_changed, questions_to_hold
from viker.training.loss_curve import loss_curve
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams

PEOPLE = ("Ada Voss", "Ben Wirth", "Cleo Xander", "Dora Young", "Emil Zorn")
GA = {"method": "ga", "epochs": 2, "batch_size": 1, "retain_batch_size": 3}


@pytest.fixture
def encoder(small_model) -> Encoder:
    """The model's encoder, to be given more pictures."""
    return Encoder(small_model[1].processor, small_model[1].pictures, small_model[1].device)


@pytest.fixture
def asked(encoder) -> list[Sample]:
    """Questions about five people, each with a picture and without one; the first person's are to be forgotten."""
    shown = sorted(key for key in encoder.pictures if not key.startswith("scene"))
    pictures = [[picture, ""] for picture in shown[: len(PEOPLE)]]
    return [
        Sample(f"{number}/{bool(picture)}", f"Who is {name}?", f"{name} is a farmer.", picture)
        for number, name in enumerate(PEOPLE)
        for picture in pictures[number]
    ]


@pytest.fixture
def names(asked) -> dict[str, str]:
    return {sample.record_id: PEOPLE[int(sample.record_id[0])] for sample in asked}


@pytest.fixture
def earlier(small_model, params, tmp_path):
    """An adapter with random weights, as an earlier request leaves it."""
    adapted = put_adapter(params.unlearn, copy.deepcopy(small_model[0]))
    torch.manual_seed(3)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(tmp_path / "earlier")
    return tmp_path / "earlier"


@pytest.fixture
def trained(small_model, params, encoder, asked, names, earlier):
    """The trainer of a run that has ended, with some parameters changed."""

    def make(start_from=earlier, **hold):
        changes = GA | {"start_from": start_from and str(start_from), "hold": {"questions": 6} | hold}
        settings = UnlearnParams(**params.unlearn.model_dump(by_alias=True) | changes)
        invented = questions_to_hold(settings, 7, encoder, asked[:2], asked[2:], names)
        torch.manual_seed(0)
        model = copy.deepcopy(small_model[0])
        trainer = make_trainer(settings, 7, model, encoder, asked[:2], asked[2:], [], None, invented)
        trainer.train()
        return trainer

    return make


def drift(trainer) -> float:
    """Return how far the trained model is from what it was held to, KL in nats."""
    with torch.no_grad():
        batches = [trainer.encoder.batch([sample]) for sample in trainer.held.samples]
        logs = [log_probabilities(answer_logits(trainer.model, batch), batch.answers) for batch in batches]
    pairs = zip(map(full, trainer.held.said), logs, strict=True)
    return float(torch.cat([divergence(said, log_p) for said, log_p in pairs]).mean())


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in trainer.model.named_parameters() if weight.requires_grad}


def test_an_invented_person_has_a_blend_for_a_picture_and_a_name_that_nobody_has(encoder, asked, names):
    forget, retain = asked[:2], asked[2:]
    samples, blends = invented_people(forget, retain, encoder.pictures, names, 40, 7)
    assert len({sample.record_id for sample in samples}) == 40
    for sample in samples:
        name = sample.prompt.removeprefix("Who is ").removesuffix("?")
        assert sample.answer == f"{name} is a farmer." and name not in PEOPLE
        assert {"Ada", "Voss"}.isdisjoint(name.split())
    assert set(blends) == {sample.picture for sample in samples} - {""} and 0 < len(blends) < 40
    originals = {open_picture(encoder.pictures[sample.picture]).tobytes() for sample in asked if sample.picture}
    assert originals.isdisjoint(open_picture(blend).tobytes() for blend in blends.values())
    assert (samples, blends) == invented_people(forget, retain, encoder.pictures, names, 40, 7)


def test_questions_about_whom_nobody_can_be_invented_are_left_out(encoder, asked, names):
    forget, retain = asked[:2], asked[2:]
    nameless, _ = invented_people(forget, retain, encoder.pictures, {}, 20, 7)
    assert nameless and all(sample.picture for sample in nameless)
    alone = [sample for sample in retain if not sample.picture or sample is retain[0]]
    of_one_picture, _ = invented_people(forget, alone, encoder.pictures, names, 20, 7)
    assert of_one_picture and not any(sample.picture for sample in of_one_picture)


def test_a_run_that_can_invent_nobody_says_so(params, encoder, asked, earlier, caplog):
    settings = params.unlearn.model_copy(update={"start_from": str(earlier)})
    alone = [sample for sample in asked if not sample.picture]
    with caplog.at_level(logging.WARNING):
        assert questions_to_hold(settings, 7, encoder, asked[:2], alone, {}) == []
    assert "nothing holds what the adapter in unlearn.start_from has forgotten" in caplog.text
    caplog.clear()
    assert questions_to_hold(settings, 7, encoder, asked[:2], asked[2:], {}) != [] and caplog.text == ""


def test_those_are_held_on_which_the_adapter_changed_the_model_most(small_model, params, encoder, asked, earlier):
    settings = params.unlearn.model_copy(update={"start_from": str(earlier)})
    adapted = put_adapter(settings, copy.deepcopy(small_model[0]))
    held = most_changed(adapted, encoder, asked, 3, 4)
    apart = {}
    with torch.no_grad():
        for sample in asked:
            batch = encoder.batch([sample])
            p = answer_logits(adapted, batch)[0].softmax(-1)
            with adapted.disable_adapter():
                log_q = answer_logits(adapted, batch)[0].log_softmax(-1)
            apart[sample] = float((p * (p.log() - log_q)).sum())
            if sample in held.samples:
                said = full(held.said[held.samples.index(sample)])
                torch.testing.assert_close(said, p, atol=1e-5, rtol=1e-4)
    assert set(held.samples) == set(sorted(apart, key=apart.get)[-3:])
    assert held.divergence == pytest.approx(sum(apart[sample] for sample in held.samples) / 3, rel=1e-3)


def test_the_term_is_part_of_the_loss_and_keeps_the_starting_model(trained):
    held, free = trained(weight=100.0), trained(weight=1e-6)
    curve = loss_curve(held)
    assert curve["hold"][0] == pytest.approx(0, abs=1e-6) and curve["hold"].iloc[-1] > 0
    assert (curve["ga"] + 100 * curve["hold"]).tolist() == pytest.approx(curve["loss"].tolist(), rel=1e-5)
    assert drift(held) < 0.5 * drift(free)


@pytest.mark.parametrize(("start_from", "weight"), [(None, 10.0), ("earlier", 0.0)])
def test_without_an_adapter_or_a_weight_nothing_is_held(trained, earlier, start_from, weight):
    begin = start_from and earlier
    one, other = trained(begin, weight=weight), trained(begin, weight=0.0)
    assert one.held is None and "hold" not in loss_curve(one)
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(other)[name], atol=0, rtol=0)
