"""What every method must hold to, on random tensors in float64; then what is each method's own."""

import math

import pytest
import torch
from torch import Tensor

from viker.methods.idk import idk_loss
from viker.methods.inputs import Inputs
from viker.methods.kl import kl_loss
from viker.methods.npo import npo_loss
from viker.methods.registry import METHODS
from viker.methods.tokens import CHUNK, log_likelihoods, mean_kl, mean_log_likelihood
from viker.methods.viker import viker_loss
from viker.methods.weights import token_weights
from viker.models.chat import IGNORED
from viker.training.settings import UnlearnParams

V = 7
SIDES = {
    "forget": ("logits", "answers", "teacher", "vanilla_logits"),
    "retain": ("retain_logits", "retain_answers", "retain_vanilla"),
    "refusal": ("refusal_logits", "refusal_answers", "refusal_vanilla_logits"),
}
TRAINED = ("logits", "retain_logits", "refusal_logits")
ABLATIONS = {
    "viker without a teacher": ("viker", {"teacher": "none"}),
    "viker without ga": ("viker", {"use_ga": False}),
    "entropy_weight": ("viker", {"weighting": "entropy_weight"}),
    "hard_mask": ("viker", {"weighting": "hard_mask", "mask_threshold": 1.5}),
}
CASES = {name: (name, {}) for name in METHODS} | ABLATIONS


@pytest.fixture(params=CASES)
def method(request, params):
    """A method as the trainer calls it: by registry and parameters."""
    name, changes = CASES[request.param]
    unlearn = params.unlearn.model_dump(by_alias=True) | {"method": name, "base_model": "base"} | changes
    settings = UnlearnParams(**unlearn)

    def call(given: Inputs) -> dict[str, Tensor]:
        if settings.teacher == "none":
            given.teacher = None
        return METHODS[name](given, settings)

    return call


def random_inputs(seed: int = 0) -> Inputs:
    """Two forget answers of 4 and 2 tokens, three retain answers of 3, 1 and 2, two refusals of 2 and 3."""
    generator = torch.Generator().manual_seed(seed)

    def logits(rows: int, width: int) -> Tensor:
        return torch.randn(rows, width, V, generator=generator, dtype=torch.float64)

    def answers(width: int, *lengths: int) -> Tensor:
        ids = torch.randint(0, V, (len(lengths), width), generator=generator)
        for row, length in enumerate(lengths):
            ids[row, : width - length] = IGNORED
        return ids

    return Inputs(
        logits=logits(2, 4),
        answers=answers(4, 4, 2),
        teacher=(2 * logits(2, 4)).softmax(-1),
        vanilla_logits=logits(2, 4),
        retain_logits=logits(3, 3),
        retain_answers=answers(3, 3, 1, 2),
        retain_vanilla=logits(3, 3).softmax(-1),
        refusal_logits=logits(2, 3),
        refusal_answers=answers(3, 2, 3),
        refusal_vanilla_logits=logits(2, 3),
    )


def gradients(method, given: Inputs) -> dict[str, Tensor]:
    """Return the loss's gradient by each of the trained logits, zeros where it looks at none of them."""
    leaves = {name: getattr(given, name).clone().requires_grad_() for name in TRAINED}
    loss = method(Inputs(**vars(given) | leaves))["loss"]
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def test_every_part_is_one_finite_number(method):
    parts = method(random_inputs())
    assert "loss" in parts
    assert all(value.shape == () and value.isfinite() for value in parts.values())


def test_hopeless_and_certain_answers_stay_finite(method):
    given = random_inputs()
    for name in TRAINED:
        setattr(given, name, 80 * getattr(given, name))
    given.teacher = torch.nn.functional.one_hot(given.teacher.argmax(-1), V).double()
    assert all(value.isfinite() for value in method(given).values())
    assert all(gradient.isfinite().all() for gradient in gradients(method, given).values())


def test_the_gradient_is_that_of_central_differences(method):
    given, step = random_inputs(), 1e-5
    for name, gradient in gradients(method, given).items():
        logits = getattr(given, name)
        numeric = torch.zeros_like(logits)
        for place in range(logits.numel()):
            ends = []
            for sign in (1, -1):
                moved = logits.clone()
                moved.view(-1)[place] += sign * step
                ends.append(method(Inputs(**vars(given) | {name: moved}))["loss"])
            numeric.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
        torch.testing.assert_close(gradient, numeric, rtol=1e-6, atol=1e-8)


def test_positions_without_an_answer_token_get_no_gradient(method):
    given = random_inputs()
    found = gradients(method, given)
    for side in SIDES.values():
        assert (found[side[0]][getattr(given, side[1]) == IGNORED] == 0).all()


def test_padding_changes_nothing(method):
    given, wider = random_inputs(), random_inputs()
    for side in SIDES.values():
        for name in side:
            narrow = getattr(given, name)
            fill = torch.full((len(narrow), 3), IGNORED) if narrow.ndim == 2 else torch.rand(len(narrow), 3, V) * 90
            setattr(wider, name, torch.cat([fill.to(narrow.dtype), narrow], dim=1))
    for name, value in method(given).items():
        torch.testing.assert_close(method(wider)[name], value, rtol=1e-14, atol=1e-14)


def test_the_order_of_a_batch_changes_nothing(method):
    given, turned = random_inputs(), random_inputs()
    for side in SIDES.values():
        for name in side:
            setattr(turned, name, getattr(given, name).flip(0))
    for name, value in method(given).items():
        torch.testing.assert_close(method(turned)[name], value, rtol=1e-12, atol=1e-14)


def test_a_small_step_down_the_gradient_lowers_the_loss(method):
    given = random_inputs()
    found = gradients(method, given)
    moved = {name: getattr(given, name) - 0.05 * gradient for name, gradient in found.items()}
    assert method(Inputs(**vars(given) | moved))["loss"] < method(given)["loss"]


def test_the_frozen_model_and_the_teacher_get_no_gradient(method):
    given = random_inputs()
    frozen = [n for side in SIDES.values() for n in side if "answers" not in n and n not in TRAINED]
    leaves = {name: getattr(given, name).clone().requires_grad_() for name in (*frozen, *TRAINED)}
    loss = method(Inputs(**vars(given) | leaves))["loss"]
    found = torch.autograd.grad(loss, [leaves[name] for name in frozen], allow_unused=True)
    assert all(gradient is None for gradient in found)


def by_logits(loss, given: Inputs) -> Tensor:
    logits = given.logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits), logits)[0]


def test_npo_becomes_gradient_ascent_on_whole_answers_as_beta_goes_to_zero():
    g = random_inputs()
    npo = by_logits(lambda logits: npo_loss(logits, g.answers, g.vanilla_logits, 1e-7)["loss"], g)
    ascent = by_logits(lambda logits: log_likelihoods(logits, g.answers).mean(), g)
    torch.testing.assert_close(npo, ascent, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
def test_npo_and_idk_start_at_two_log_two_over_beta(beta):
    g = random_inputs()
    npo = npo_loss(g.logits, g.answers, g.logits, beta)
    refusal = (g.refusal_logits, g.refusal_answers, g.refusal_logits)
    idk = idk_loss(g.logits, g.answers, g.logits, *refusal, beta)
    assert npo["loss"].item() == pytest.approx(2 / beta * math.log(2), rel=1e-12)
    assert idk["loss"].item() == pytest.approx(2 / beta * math.log(2), rel=1e-12)
    assert npo["ratio"].item() == idk["ratio"].item() == idk["refusal"].item() == 0


def test_npo_presses_an_answer_less_the_less_likely_it_is():
    g = random_inputs()
    g.answers[1] = IGNORED
    sizes = []
    for likelier in (0.0, -5.0, -10.0):
        g.logits = g.vanilla_logits.clone()
        g.logits[0, torch.arange(4), g.answers[0]] += likelier
        npo = by_logits(lambda logits: npo_loss(logits, g.answers, g.vanilla_logits, 0.5)["loss"], g)
        ascent = by_logits(lambda logits: log_likelihoods(logits, g.answers).mean(), g)
        sizes.append((npo.norm() / ascent.norm()).item())
    assert sizes[0] == pytest.approx(1) and sizes[0] > sizes[1] > sizes[2]


def test_idk_prefers_the_refusal():
    found = gradients(
        lambda g: METHODS["idk"].loss(*(getattr(g, n) for n in METHODS["idk"].needs), 0.1), random_inputs()
    )
    g = random_inputs()
    for name, answers, sign in (("logits", g.answers, 1), ("refusal_logits", g.refusal_answers, -1)):
        mask = answers != IGNORED
        true = found[name][mask].gather(-1, answers[mask].unsqueeze(-1))
        assert (sign * true > 0).all()


def test_kl_adds_nothing_where_retain_is_as_the_vanilla_model_has_it():
    g = random_inputs()
    parts = kl_loss(g.logits, g.answers, g.retain_logits.softmax(-1), g.retain_logits, g.retain_answers)
    assert parts["kl"].item() == pytest.approx(0, abs=1e-14)
    assert parts["loss"].item() == pytest.approx(parts["ga"].item(), abs=1e-14)


def test_viker_without_a_teacher_is_gradient_ascent_exactly():
    g = random_inputs()
    loss = viker_loss(g.logits, g.answers, None, 2.0)["loss"]
    assert loss.item() == METHODS["ga"].loss(g.logits, g.answers)["loss"].item()


def test_viker_without_ga_is_lambda_times_the_divergence():
    g = random_inputs()
    parts = viker_loss(g.logits, g.answers, g.teacher, 2.0, use_ga=False)
    assert parts["loss"].item() == 2 * parts["kl"].item()


class TestWeights:
    def test_a_teacher_that_knows_nothing_weighs_every_token_one(self):
        g = random_inputs()
        uniform = torch.full_like(g.teacher, 1 / V)
        for weighting, threshold in (("entropy_weight", 0.0), ("hard_mask", math.log(V) - 1e-9)):
            parts = viker_loss(g.logits, g.answers, uniform, 1.0, True, weighting, threshold)
            assert parts["loss"].item() == pytest.approx(parts["ga"].item(), rel=1e-12)

    def test_a_certain_teacher_presses_nothing(self):
        g = random_inputs()
        certain = torch.nn.functional.one_hot(g.teacher.argmax(-1), V).double()
        for weighting in ("entropy_weight", "hard_mask"):
            loss = by_logits(
                lambda logits, w=weighting: viker_loss(logits, g.answers, certain, 1.0, True, w, 0.0)["loss"], g
            )
            assert (loss == 0).all()

    def test_the_mask_presses_exactly_the_tokens_above_the_threshold(self):
        g = random_inputs()
        nats = -torch.xlogy(g.teacher, g.teacher).sum(-1)
        threshold = nats[g.answers != IGNORED].median().item()
        found = by_logits(
            lambda logits: viker_loss(logits, g.answers, g.teacher, 1.0, True, "hard_mask", threshold)["loss"], g
        )
        pressed = (nats > threshold) & (g.answers != IGNORED)
        assert pressed.any() and torch.equal(found.abs().sum(-1) > 0, pressed)

    def test_a_weight_lies_between_zero_and_one(self):
        rows = (3 * torch.randn(500, V)).softmax(-1)
        for weighting in ("entropy_weight", "hard_mask"):
            weights = token_weights(rows, weighting, 1.0)
            assert weights.min() >= 0 and weights.max() <= 1 + 1e-6


class TestAgainstTheNaiveForm:
    """In float32, with more rows than a chunk has, against the formula written out over the padded tensors."""

    @pytest.fixture
    def big(self):
        torch.manual_seed(1)
        logits = 4 * torch.randn(3, CHUNK, 301)
        answers = torch.randint(0, 301, (3, CHUNK))
        answers[1, :50] = IGNORED
        return logits, answers, (6 * torch.randn(3, CHUNK, 301)).softmax(-1)

    def test_viker_is_the_same(self, big):
        logits, answers, teacher = big
        mask = answers != IGNORED
        ours, naive = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        parts = viker_loss(ours, answers, teacher, 2.0)
        ga = naive.log_softmax(-1).gather(-1, answers.clamp(min=0)[..., None])[..., 0][mask].mean()
        kl = torch.nn.functional.kl_div(naive.log_softmax(-1), teacher, reduction="none").sum(-1)[mask].mean()
        torch.testing.assert_close(parts["ga"], ga, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(parts["kl"], kl, rtol=1e-5, atol=1e-5)
        found = torch.autograd.grad(parts["loss"], ours)[0]
        torch.testing.assert_close(found, torch.autograd.grad(ga + 2 * kl, naive)[0], rtol=1e-5, atol=1e-9)

    def test_a_model_in_bfloat16_has_losses_in_float32(self, big):
        logits, answers, teacher = (x.bfloat16() if x.is_floating_point() else x for x in big)
        for value in (mean_kl(teacher, logits, answers), mean_log_likelihood(logits, answers)):
            assert value.dtype == torch.float32
        exact = mean_kl(teacher.double(), logits.double(), answers)
        torch.testing.assert_close(mean_kl(teacher, logits, answers).double(), exact, rtol=1e-5, atol=1e-5)
