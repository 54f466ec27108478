"""Attacks on models in half precision, as most are published: they run, and follow finite gradients."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.viker.attacks.conftest import SEED
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.perform import perform
from viker.attacks.base.subject import Subject
from viker.attacks.relearn import adapter_to_teach
from viker.attacks.soft_prompt import SoftPromptSettings, optimise, soft_tokens, with_signs
from viker.core.errors import UserError
from viker.data.samples import sample_of
from viker.generation.generate import log_likelihoods, replies
from viker.models.fast_path import fallbacks
from viker.models.loading import language_layers
from viker.models.lora_precision import compute_in_model_precision


def subject_of(small_model, precision, name="unlearned"):
    model, encoder = small_model
    torch.manual_seed(0)
    own = copy.deepcopy(model).to(precision)
    config = LoraConfig(r=2, lora_alpha=4, target_modules=language_layers(own), init_lora_weights=False)
    adapted = compute_in_model_precision(get_peft_model(own, config)).eval()
    return Subject(name, adapted, name == "unlearned", encoder, 32, 4)


@pytest.fixture(scope="module", params=[torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def subject(request, small_model):
    return subject_of(small_model, request.param)


@pytest.mark.parametrize("attack", load_attacks().values(), ids=list(load_attacks()))
def test_every_attack_runs_on_it(attack, subject, targets, sections):
    done = perform(attack, subject, targets, sections[attack.name], SEED)
    assert 0 <= done["block"]["leakage_rate"] <= 1
    assert done["block"]["samples"] == len(done["rows"][attack.name]) > 0
    assert fallbacks() == []


def lessons_of(targets):
    return [with_signs(sample_of(record), 4) for record in targets.questions(4, SEED)]


def test_a_soft_prompt_makes_the_answers_likelier(subject, targets):
    lessons = lessons_of(targets)
    settings = SoftPromptSettings(signs=4, iterations=30, batch_size=4)
    with soft_tokens(subject, lessons[0], 4) as soft:
        before = sum(subject.likelihoods(lessons))
        optimise(subject, lessons, soft, settings, SEED)
        assert soft.dtype == torch.float32 and soft.isfinite().all()
        assert sum(subject.likelihoods(lessons)) > before + 0.02


def test_what_relearns_is_float32_and_its_gradient_near_float32s(small_model, targets):
    lessons = lessons_of(targets)

    def taught(precision):
        subject = subject_of(small_model, precision)
        with adapter_to_teach(subject, SEED) as learner:
            trained = [p for p in subject.model.parameters() if p.requires_grad]
            assert {p.dtype for p in trained} == {torch.float32}
            return torch.cat([gradient.flatten() for gradient in learner.gradients(lessons, trained)])

    exact = taught(torch.float32)
    for precision, bound in ((torch.float16, 0.02), (torch.bfloat16, 0.1)):
        assert (taught(precision) - exact).norm() < bound * exact.norm(), precision


def test_in_float16_small_gradients_do_not_vanish(small_model, targets, monkeypatch):
    subject = subject_of(small_model, torch.float16)
    loss, lessons = subject.loss, lessons_of(targets)
    embeddings = subject.model.get_input_embeddings().weight
    embeddings.requires_grad_()
    kept = []
    for times in (1.0, 2.0**-12):
        monkeypatch.setattr(Subject, "loss", lambda *given, times=times: loss(*given[1:]) * times)
        kept.append(int(subject.gradients(lessons, [embeddings])[0].count_nonzero()))
    assert kept[1] > 0.9 * kept[0] > 0


def test_a_model_whose_logits_are_nan_is_not_taken_for_one_that_has_forgotten(small_model, targets):
    subject = subject_of(small_model, torch.float16)
    with torch.no_grad():
        subject.model.get_base_model().get_decoder().layers[0].mlp.up_proj.base_layer.weight.fill_(6e4)
    samples = lessons_of(targets)
    for asked in (
        lambda: replies(subject.model, subject.encoder, samples, 4, 3, "test"),
        lambda: log_likelihoods(subject.model, subject.encoder, samples, 4),
        lambda: subject.gradients(samples, [p for p in subject.model.parameters() if p.requires_grad]),
    ):
        with pytest.raises(UserError, match="are NaN or infinite, computed in float16"):
            asked()
