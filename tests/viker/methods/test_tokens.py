"""Means over the answer tokens of a batch."""

import math

import pytest
import torch

from viker.methods.base.tokens import divergence, mean_kl, mean_log_likelihood
from viker.models.encoder import IGNORED
from viker.models.entropy import CHUNK


def test_a_batch_of_unequal_lengths_is_the_mean_over_its_tokens():
    torch.manual_seed(3)
    logits = torch.randn(2, 5, 11, dtype=torch.float64)
    answers = torch.randint(0, 11, (2, 5))
    answers[1, :2] = IGNORED
    one = mean_log_likelihood(logits[:1], answers[:1]).item()
    other = mean_log_likelihood(logits[1:], answers[1:]).item()
    both = mean_log_likelihood(logits, answers).item()
    assert both == pytest.approx((5 * one + 3 * other) / 8, rel=1e-12)
    assert both != pytest.approx((one + other) / 2)


def test_a_model_in_bfloat16_has_losses_in_float32():
    torch.manual_seed(1)
    logits = (4 * torch.randn(3, CHUNK, 301)).bfloat16()
    answers = torch.randint(0, 301, (3, CHUNK))
    answers[1, :50] = IGNORED
    teacher = (6 * torch.randn(3, CHUNK, 301)).softmax(-1).bfloat16()
    for value in (mean_kl(teacher, logits, answers), mean_log_likelihood(logits, answers)):
        assert value.dtype == torch.float32
    exact = mean_kl(teacher.double(), logits.double(), answers)
    torch.testing.assert_close(mean_kl(teacher, logits, answers).double(), exact, rtol=1e-5, atol=1e-5)


class TestImpossibleTokens:
    """Logits of -inf: tokens that a model rules out."""

    def test_one_that_the_teacher_rules_out_too_adds_nothing(self):
        logits = torch.tensor([[1.0, -torch.inf, 0.5], [0.0, 2.0, -torch.inf]], dtype=torch.float64, requires_grad=True)
        p = torch.tensor([[0.25, 0.0, 0.75], [0.5, 0.5, 0.0]], dtype=torch.float64)
        kept = torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=torch.float64, requires_grad=True)
        values = divergence(p, logits.log_softmax(-1))
        expected = divergence(p[p > 0].reshape(2, 2), kept.log_softmax(-1))
        torch.testing.assert_close(values, expected, rtol=1e-14, atol=0)
        gradient = torch.autograd.grad(values.sum(), logits)[0]
        assert (gradient[p == 0] == 0).all()
        by_kept = torch.autograd.grad(expected.sum(), kept)[0]
        torch.testing.assert_close(gradient[p > 0].reshape(2, 2), by_kept, rtol=1e-14, atol=1e-16)

    def test_one_that_the_teacher_allows_is_infinitely_far(self):
        logits = torch.tensor([[1.0, -torch.inf]])
        assert divergence(torch.tensor([[0.5, 0.5]]), logits.log_softmax(-1)).item() == math.inf
