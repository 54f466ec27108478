"""Fused layers have the values and gradients of plain ones, in fewer operations, with less kept."""

import random
from types import SimpleNamespace

import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear
from PIL import Image

from benchmarks.gpu.timing import launches
from tests.conftest import png
from tests.viker.methods.checks import settings_of
from tests.viker.models.fused import SAMPLES, adapted, filled, fused_types
from tests.viker.training.families import FAMILIES, build
from tests.viker.training.test_training import samples, teachers, trainer_of  # noqa: F401 - fixtures
from viker.attacks.base.subject import Subject
from viker.attacks.relearn import adapter_to_teach
from viker.generation.decode import decode
from viker.generation.generate import log_likelihoods, replies
from viker.methods.base.method import methods
from viker.models import fused_layers
from viker.models.encoder import Encoder
from viker.models.fast_path import fallbacks
from viker.models.float32 import in_float32
from viker.models.fused_layers import ASKING, fuse_layers, fused_forwards
from viker.models.fused_operations import LoraProducts, rotate
from viker.models.logits import answer_logits
from viker.models.shared_prefix import Prefixes
from viker.teacher.visual import teacher_probabilities


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    model, processor = build(request.param)
    rng = random.Random(1)
    pictures = {
        name: png(Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1])))
        for name, size in {"wide": (60, 30), "square": (40, 40)}.items()
    }
    return request.param, model, Encoder(processor, pictures, torch.device("cpu"))


def gradients(model, encoder):
    """Return the logits of all answers, and the gradients of a loss on them."""
    batch = encoder.batch(SAMPLES)
    logits = answer_logits(model, batch)[batch.mask]
    logits.float().log_softmax(-1).square().mean().backward()
    taken = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return logits.detach(), taken


def test_each_family_computes_what_it_does_plain(family):
    name, model, encoder = family
    ours = adapted(model)
    logits, plain = gradients(ours, encoder)
    fuse_layers(ours, encoder, SAMPLES)
    assert fallbacks() == []
    taken = fused_types(ours)
    assert taken.pop("Linear") == 2 * 7
    attention, *others = sorted(taken.items(), key=lambda one: "Attention" not in one[0])
    assert attention[1] == 2
    norms, mlps = (5, 2) if "gemma" not in name else (0, 0)  # Gemma's compute in their own way
    assert sum(count for kind, count in others if "Norm" in kind) == norms
    assert sum(count for kind, count in others if "MLP" in kind) == mlps
    fused_logits, fused = gradients(ours, encoder)
    torch.testing.assert_close(fused_logits, logits, atol=1e-5, rtol=1e-4)
    assert fused.keys() == plain.keys() and len(fused) == 2 * 2 * 7
    for key, gradient in plain.items():
        torch.testing.assert_close(fused[key], gradient, atol=1e-4 * gradient.abs().max().item(), rtol=1e-3)


def test_in_half_precision_gradients_are_as_near_to_float32_as_plain_ones(small):
    model, encoder = small
    _, exact = gradients(adapted(model), encoder)
    half = adapted(model, torch.bfloat16)
    _, plain = gradients(half, encoder)
    fuse_layers(half, encoder, SAMPLES)
    _, fused = gradients(half, encoder)
    assert fallbacks() == [] and {gradient.dtype for gradient in fused.values()} == {torch.float32}

    def error(found):
        return sum((found[name] - gradient).square().sum() for name, gradient in exact.items()).sqrt()

    assert 0 < error(fused) < 2 * error(plain), "a wrong gradient is many times as far"


@torch.no_grad()
def test_what_verifies_half_precision_rounds_no_matrix(small):
    model, encoder = small
    ours, batch = adapted(model, torch.bfloat16), encoder.batch(SAMPLES)
    with in_float32():
        exact = answer_logits(ours, batch)
    fuse_layers(ours, encoder, SAMPLES)
    assert fused_types(ours) and fallbacks() == []
    with in_float32():
        torch.testing.assert_close(answer_logits(ours, batch), exact, atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.lora_bias")  # such adapters can't be merged
@pytest.mark.parametrize("changes", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_adapters_that_do_more_stay_plain(small, changes):
    model, encoder = small
    ours = adapted(model, **changes)
    assert not any("Linear" in type(module).__name__ for module in fused_forwards(ours))
    with torch.no_grad():
        before = answer_logits(ours.eval(), encoder.batch(SAMPLES))
        fuse_layers(ours, encoder, SAMPLES)
        torch.testing.assert_close(answer_logits(ours, encoder.batch(SAMPLES)), before, atol=1e-5, rtol=1e-4)
    assert fused_types(ours)["LlamaMLP"] and fallbacks() == []


def test_the_model_without_its_adapter_is_the_vanilla_one(small):
    model, encoder = small
    ours, batch = adapted(model), encoder.batch(SAMPLES)
    fuse_layers(ours, encoder, SAMPLES)
    with torch.no_grad(), ours.disable_adapter():
        torch.testing.assert_close(answer_logits(ours, batch), answer_logits(model, batch), atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        told = answer_logits(ours, batch)
        ours.merge_adapter()
        torch.testing.assert_close(answer_logits(ours, batch), told, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", methods().values(), ids=methods())
def test_a_step_of_each_method_has_its_loss_and_gradient(trainer_of, method):  # noqa: F811 - a fixture
    asked = {"retain": {"term": "kl"}} if method.unlearns else {}
    losses, found = [], []
    for fused in (False, True):
        trainer = trainer_of(method=settings_of(method, **asked))
        filled(trainer.model)
        rows = list(trainer.train_dataset)[:2]
        if fused:
            fuse_layers(trainer.model, trainer.encoder, [sample for sample, _ in rows])
            assert fused_types(trainer.model) and fallbacks() == []
        loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
        loss.backward()
        losses.append(loss.detach())
        found.append({name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-4)
    assert found[0].keys() == found[1].keys() and any(gradient.any() for gradient in found[0].values())
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-4 * gradient.abs().max().item(), rtol=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_with_checkpointing_the_gradients_are_the_same(small, precision):
    model, encoder = small
    ours = adapted(model, precision)
    fuse_layers(ours, encoder, SAMPLES)
    _, kept = gradients(ours.train(), encoder)
    ours.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    _, again = gradients(ours, encoder)
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, atol=0, rtol=0)


def turned_back(queries, keys, cos, sin):
    return rotate(queries, keys, cos, -sin)


def of_other_arguments(queries, keys):
    raise AssertionError("never called")


def not_computed(queries, keys, cos, sin):
    raise RuntimeError("not implemented for this GPU")


@pytest.mark.parametrize("wrong", [turned_back, of_other_arguments, not_computed])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_layers_that_compute_something_else_or_cannot_stay_plain(small, monkeypatch, precision, wrong):
    model, encoder = small
    ours, batch = adapted(model, precision), encoder.batch(SAMPLES)
    with torch.no_grad():
        before = answer_logits(ours, batch)
        monkeypatch.setattr(fused_layers, "rotate", wrong)
        fuse_layers(ours, encoder, SAMPLES)
        assert torch.equal(answer_logits(ours, batch), before)
    assert fused_types(ours) == {} and [each["what"] for each in fallbacks()] == ["fused layers"]


def test_a_step_launches_fewer_operations(small):
    model, encoder = small
    ours = adapted(model, torch.bfloat16)
    plain = launches(lambda: gradients(ours, encoder))
    fuse_layers(ours, encoder, SAMPLES)
    layers = len(ours.get_base_model().get_decoder().layers)
    assert plain - launches(lambda: gradients(ours, encoder)) >= 70 * layers


def test_layers_of_one_input_are_one_node_and_their_matrices_are_cast_before(small, monkeypatch):
    model, encoder = small
    ours, given = adapted(model, torch.bfloat16), []

    def counted(states, a, *layers):
        given.append((a.dtype, len(layers) // 4))
        return LoraProducts.apply(states, a, *layers)

    monkeypatch.setattr(fused_layers, "LoraProducts", SimpleNamespace(apply=counted))
    fuse_layers(ours, encoder, SAMPLES)
    given.clear()
    gradients(ours, encoder)
    layers = len(ours.get_base_model().get_decoder().layers)
    assert given == [(torch.bfloat16, 3), (torch.bfloat16, 1), (torch.bfloat16, 2)] * layers
    groups = {id(forward.func.__self__): forward.func.__self__ for forward in forwards_of(ours)}
    assert len(groups) == 4 * layers and not any(group.cast or group._outs for group in groups.values())


def forwards_of(model):
    """Return what computes the linear layers: methods of their groups."""
    return [vars(module)["forward"] for module in model.modules() if isinstance(module, LoraLinear)]


@torch.no_grad()
def test_replies_likelihoods_and_the_teacher_are_those_of_plain_layers(small):
    model, encoder = small
    ours = adapted(model).eval()

    def told():
        asked = teacher_probabilities(ours, encoder, SAMPLES, [["square", "wide"]] * 3, 2)
        likelihoods = torch.tensor(log_likelihoods(ours, encoder, SAMPLES, 2))
        return replies(ours, encoder, SAMPLES, 2, 6, "test"), [*asked, likelihoods]

    plain_replies, plain = told()
    fuse_layers(ours, encoder, SAMPLES, ASKING)
    fused_replies, fused = told()
    assert fused_types(ours) and fallbacks() == [] and fused_replies == plain_replies
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=1e-4)
    steps = decode(*prefixed(ours, encoder), 4, cascade=True)
    assert steps == decode(*prefixed(ours, encoder), 4, cascade=False) and fallbacks() == []


def prefixed(model, encoder):
    prefixes = Prefixes(model, encoder, SAMPLES[::2])
    return prefixes, prefixes.prompts


def test_another_adapter_is_taught_on_top_and_taken_away_again(small):
    model, encoder = small
    ours = adapted(model).eval()
    fuse_layers(ours, encoder, SAMPLES, ASKING)
    subject = Subject("unlearned", ours, True, encoder, 4, 4)
    before = torch.tensor(subject.likelihoods(SAMPLES))
    with adapter_to_teach(subject, 3) as learner:
        taught = [p for p in ours.parameters() if p.requires_grad]
        gradients = learner.gradients(SAMPLES, taught)
        assert any(gradient.abs().max() > 1e-4 for gradient in gradients)
        with torch.no_grad():
            for parameter, gradient in zip(taught, gradients, strict=True):
                parameter.sub_(gradient, alpha=0.3)
        assert sum(learner.likelihoods(SAMPLES)) > before.sum() + 1e-4
    torch.testing.assert_close(torch.tensor(subject.likelihoods(SAMPLES)), before, atol=1e-5, rtol=1e-4)
