"""Attacks that touch the weights: what rounding is, what is trained, and that all of it is as before afterwards."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from tests.viker.models.short_memory import short_of_memory
from viker.attacks.base.subject import Subject
from viker.attacks.quantised import round_to_nearest, rounded
from viker.attacks.relearn import adapter_to_teach, train
from viker.attacks.universal_perturbation import UniversalPerturbationSettings, frames_of, optimised
from viker.core.errors import UserError
from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.models.fast_path import fallbacks
from viker.models.loading import language_layers


@pytest.fixture
def subjects(small_model):
    """The small model with an adapter that is not zero, and the same with the adapter off."""
    model, encoder = small_model
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=4, target_modules=language_layers(model), init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), config).eval()
    for parameter in adapted.parameters():
        parameter.requires_grad_(False)
    return [Subject(name, adapted, name == "unlearned", encoder, 8, 4) for name in ("vanilla", "unlearned")]


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from([2, 4, 8]),
    st.sampled_from([None, 1, 2, 4]),
    st.integers(0, 99),
)
def test_rounding_moves_no_weight_further_than_half_a_step_and_twice_is_once(rows, columns, bits, group, seed):
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = round_to_nearest(weight, bits, group)
    most = 2 ** (bits - 1) - 1
    size = group or columns
    for start in range(0, columns, size):
        part, coarse = weight[:, start : start + size], found[:, start : start + size]
        step = part.abs().amax(1, keepdim=True) / most
        assert ((part - coarse).abs() <= step / 2 + 1e-12).all()
        levels = coarse / step
        assert torch.allclose(levels, levels.round(), atol=1e-9) and levels.abs().max() <= most + 1e-9
    assert torch.allclose(round_to_nearest(found, bits, group), found, atol=1e-12)


def test_a_row_of_zeros_stays_and_four_bits_have_fifteen_values():
    assert torch.equal(round_to_nearest(torch.zeros(2, 3), 4, 2), torch.zeros(2, 3))
    assert len(round_to_nearest(torch.linspace(-1, 1, 999)[None], 4, None).unique()) == 15


def test_the_merged_weights_are_rounded_and_come_back_to_the_bit(subjects):
    for subject in subjects:
        before = state(subject.model)
        layer = next(m for m in subject.model.modules() if hasattr(m, "lora_A"))
        weight = layer.get_base_layer().weight
        change = layer.get_delta_weight("default") if subject.adapter_on else 0
        merged = weight + change
        with rounded(subject, 4, 8) as coarse:
            assert not coarse.adapter_on
            assert torch.equal(weight, round_to_nearest(merged, 4, 8))
        assert same(before, state(subject.model))


def test_weights_come_back_when_the_attack_fails(subjects):
    before = state(subjects[1].model)
    with pytest.raises(RuntimeError, match="on the way"), rounded(subjects[1], 4, 8):
        raise RuntimeError("on the way")
    assert same(before, state(subjects[1].model))


def test_the_output_head_is_not_rounded_and_the_vision_tower_is(subjects):
    model = subjects[1].model
    head = model.get_output_embeddings().weight.clone()
    vision = next(p for n, p in model.named_parameters() if "vision" in n and n.endswith("mlp.fc1.weight"))
    seen = vision.clone()
    with rounded(subjects[1], 4, 8):
        assert torch.equal(model.get_output_embeddings().weight, head)
        assert torch.equal(vision, round_to_nearest(seen, 4, 8))


def test_relearning_trains_only_its_own_adapter_and_leaves_nothing_behind(subjects, prepared, params):
    lessons = [sample_of(r) for r in read_records(prepared, "forget") if r.task == "generation"][:4]
    settings = params.evaluate.attacks["relearn_forget"].model_copy(update={"steps": [1, 2]})
    for subject in subjects:
        before, active = state(subject.model), list(subject.model.active_adapters)
        likelihood = subject.likelihoods(lessons)
        frozen = {n: p.requires_grad for n, p in subject.model.named_parameters()}
        found = []
        for steps, learner in train(subject, lessons, settings, 7, "relearning"):
            now = state(learner.model)
            assert {name for name in now if name not in before} == {n for n in now if ".relearn." in n}
            assert all(torch.equal(before[name], now[name]) for name in before)
            found.append((steps, sum(learner.likelihoods(lessons))))
        assert [steps for steps, _ in found] == [0, 1, 2]
        assert found[0][1] == pytest.approx(sum(likelihood), abs=1e-4)
        assert found[2][1] > found[0][1]
        assert same(before, state(subject.model))
        assert list(subject.model.active_adapters) == active
        assert {n: p.requires_grad for n, p in subject.model.named_parameters()} == frozen
        assert subject.likelihoods(lessons) == likelihood


def test_vanilla_relearns_without_the_adapter_and_unlearned_with_it(subjects):
    vanilla, unlearned = subjects
    with adapter_to_teach(vanilla, 1) as learner:
        assert list(learner.model.active_adapters) == ["relearn"]
    with adapter_to_teach(unlearned, 1) as learner:
        assert list(learner.model.active_adapters) == ["default", "relearn"]


def test_gradients_in_parts_that_fit_the_memory_are_those_of_the_whole_batch(subjects, prepared):
    subject = subjects[1]
    samples = [sample_of(record) for record in read_records(prepared, "forget")[:5]]
    with adapter_to_teach(subject, 3) as learner:
        trained = [parameter for parameter in learner.model.parameters() if parameter.requires_grad]
        with short_of_memory(learner.model, float("inf")) as passes:
            expected = learner.gradients(samples, trained)
        with short_of_memory(learner.model, max(passes) - 1) as smaller:
            gradients = learner.gradients(samples, trained)
        assert len(smaller) == 4 and max(smaller[1:]) < passes[0]
        torch.testing.assert_close(gradients, expected)
        assert any(gradient.abs().max() > 0 for gradient in expected)
        with short_of_memory(learner.model, 1), pytest.raises(UserError, match="a single sample doesn't fit"):
            learner.gradients(samples, trained)
    assert [one["reason"] for one in fallbacks()] == ["2 of 5 samples fit the memory"]


def test_a_perturbation_in_parts_that_fit_the_memory_is_that_of_the_whole_batch(subjects, prepared):
    subject, settings = subjects[1], UniversalPerturbationSettings(iterations=2, batch_size=4)
    records = [record for record in read_records(prepared, "forget") if record.images][:4]
    frames = frames_of(subject, records)
    samples = list(map(sample_of, records))
    with short_of_memory(subject.model, float("inf")) as passes:
        expected = optimised(subject, frames, samples, settings, 3)
    with short_of_memory(subject.model, max(passes) - 1):
        change = optimised(subject, frames, samples, settings, 3)
    assert (change - expected).abs().max() <= 2 * settings.step / 255
    assert (change == expected).float().mean() > 0.99, "but for signs of gradients near zero"
