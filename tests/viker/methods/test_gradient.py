"""The losses against their formulas, in float64 with autograd."""

import pytest
import torch

from viker.methods.ga import ga_loss
from viker.methods.graddiff import graddiff_loss
from viker.methods.tokens import mean_kl, mean_log_likelihood
from viker.methods.viker import viker_loss
from viker.models.chat import IGNORED

LAMBDAS = (0.0, 0.5, 1.0, 2.0)


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


def test_a_batch_of_unequal_lengths_is_the_mean_over_its_tokens(batch):
    logits, answers, _ = batch
    one = mean_log_likelihood(logits[:1], answers[:1]).item()
    other = mean_log_likelihood(logits[1:], answers[1:]).item()
    both = mean_log_likelihood(logits, answers).item()
    assert both == pytest.approx((5 * one + 3 * other) / 8, rel=1e-12)
    assert both != pytest.approx((one + other) / 2)


def test_graddiff_ascends_on_forget_and_descends_on_retain(batch):
    logits, answers, _ = batch
    loss = graddiff_loss(logits, answers, logits, answers)
    assert loss["loss"].item() == 0
    assert loss["ga"].item() == ga_loss(logits, answers)["loss"].item() == -loss["nll"].item()
