"""ViKeR's loss against its formula, and its ablations."""

import math

import pytest
import torch

from tests.viker.methods import plain
from tests.viker.methods.checks import MethodChecks, V, by_logits, random_inputs, settings_of
from viker.methods.base.tokens import mean_kl
from viker.methods.base.weights import token_weights
from viker.methods.ga import ga_loss
from viker.methods.viker import METHOD, viker_loss
from viker.models.encoder import IGNORED
from viker.models.entropy import CHUNK


def written_out(inputs, settings):
    forget = plain.forget(inputs)
    to_teacher = plain.mean_kl(plain.rows(inputs.teacher, inputs.answers), forget)
    return plain.likelihood(forget) + settings.lambda_ * to_teacher


LAMBDAS = (0.0, 0.5, 1.0, 2.0)
ABLATIONS = {
    "without a teacher": {"teacher": "none"},
    "without ga": {"use_ga": False},
    "entropy_weight": {"weighting": "entropy_weight"},
    "hard_mask": {"weighting": "hard_mask", "mask_threshold": 1.5},
}


class TestAblations(MethodChecks):
    @pytest.fixture(params=ABLATIONS)
    def loss_of(self, request):
        settings = settings_of(METHOD, **ABLATIONS[request.param])

        def call(inputs):
            if not METHOD.takes_teacher(settings):
                inputs.teacher = None
            return METHOD(inputs, settings)

        return call


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        ({}, True),
        ({"lambda_": 0.01}, True),
        ({"lambda_": 0.0}, False),
        ({"teacher": {"irrelevant": 3, "population": 1}}, True),
        ({"teacher": "none"}, False),
        ({"weighting": "hard_mask"}, False),
    ],
)
def test_the_loss_follows_a_teacher_that_has_a_weight_in_it(changes, follows):
    settings = settings_of(METHOD, **changes)
    assert settings.follows_teacher == follows
    assert sum(settings.teachers.values()) == (0 if changes.get("teacher") == "none" else 1)


@pytest.fixture
def batch():
    """Two answers of unequal length, aligned on the right: 5 and 3 tokens of a vocabulary of 11."""
    torch.manual_seed(3)
    logits = torch.randn(2, 5, 11, dtype=torch.float64, requires_grad=True)
    answers = torch.randint(0, 11, (2, 5))
    answers[1, :2] = IGNORED
    teacher = torch.randn(2, 5, 11, dtype=torch.float64).softmax(-1)
    return logits, answers, teacher


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("lambda_", LAMBDAS)
def test_the_gradient_by_the_logits_is_the_papers(batch, lambda_):
    logits, answers, teacher = batch
    got = gradient(viker_loss(logits, answers, teacher, lambda_)["loss"], logits)
    mask = answers != IGNORED
    onehot = torch.nn.functional.one_hot(answers.clamp(min=0), 11).double()
    expected = (onehot - lambda_ * teacher + (lambda_ - 1) * logits.detach().softmax(-1)) / mask.sum()
    torch.testing.assert_close(got[mask], expected[mask], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("lambda_", LAMBDAS)
def test_positions_without_an_answer_token_never_contribute(batch, lambda_):
    logits, answers, teacher = batch
    loss = viker_loss(logits, answers, teacher, lambda_)["loss"]
    assert (gradient(loss, logits)[answers == IGNORED] == 0).all()
    other = logits.detach().clone()
    other[answers == IGNORED] = 50.0
    teacher = teacher.clone()
    teacher[answers == IGNORED] = 0.0
    assert viker_loss(other, answers, teacher, lambda_)["loss"].item() == loss.item()


def test_lambda_zero_is_gradient_ascent_exactly(batch):
    logits, answers, teacher = batch
    viker, ga = viker_loss(logits, answers, teacher, 0.0)["loss"], ga_loss(logits, answers)["loss"]
    assert viker.item() == ga.item()
    assert torch.equal(gradient(viker, logits), gradient(ga, logits))


def test_kl_is_zero_where_student_equals_teacher(batch):
    logits, answers, teacher = batch
    assert mean_kl(logits.softmax(-1), logits, answers).item() == pytest.approx(0, abs=1e-14)
    assert mean_kl(teacher, logits, answers).item() > 0.1


def test_viker_without_a_teacher_is_gradient_ascent_exactly():
    g = random_inputs()
    loss = viker_loss(g.logits, g.answers, None, 2.0)["loss"]
    assert loss.item() == ga_loss(g.logits, g.answers)["loss"].item()


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
        gradient = by_logits(
            lambda logits: viker_loss(logits, g.answers, g.teacher, 1.0, True, "hard_mask", threshold)["loss"], g
        )
        pressed = (nats > threshold) & (g.answers != IGNORED)
        assert pressed.any() and torch.equal(gradient.abs().sum(-1) > 0, pressed)

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
        ours_gradient = torch.autograd.grad(parts["loss"], ours)[0]
        torch.testing.assert_close(ours_gradient, torch.autograd.grad(ga + 2 * kl, naive)[0], rtol=1e-5, atol=1e-9)
