"""The teacher at half the size: the loss it gives is close enough, and where it would not pay it is exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viker.methods.base.tokens import divergence
from viker.teacher.distributions import (
    EXACT,
    LARGE,
    CompactDistributions,
    bytes_per_token,
    compact,
    from_tensors,
    full,
    pad_teachers,
    to_tensors,
)


def distributions(sharpness: float, vocabulary: int = LARGE, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return (sharpness * torch.randn(5, vocabulary)).softmax(-1)


@given(sharpness=st.floats(0, 12), seed=st.integers(0, 100))
def test_the_loss_is_that_of_the_exact_teacher_to_a_hundred_thousandth_of_a_nat_or_of_itself(sharpness, seed):
    p, log_q = distributions(sharpness, seed=seed), distributions(3.0, seed=seed + 1).log()
    exact = divergence(p, log_q)
    torch.testing.assert_close(divergence(full(compact(p)), log_q), exact, atol=1e-4, rtol=1e-4)
    assert (full(compact(p)) - p).abs().sum(-1).max() < 6e-4


def test_the_largest_entries_keep_every_bit_and_the_size_is_half():
    p = distributions(4.0)
    teacher = compact(p)
    assert isinstance(teacher, CompactDistributions) and len(teacher) == len(p)
    values, places = p.topk(EXACT, -1)
    assert torch.equal(full(teacher).gather(-1, places), values)
    assert sum(t.nbytes for t in to_tensors(teacher).values()) == len(p) * bytes_per_token(LARGE) < 0.52 * p.nbytes


def test_a_small_vocabularys_distributions_stay_as_they_are():
    p = distributions(1.0, LARGE - 1)
    assert full(compact(p)) is p and p.nbytes == len(p) * bytes_per_token(LARGE - 1)


@pytest.mark.parametrize("vocabulary", [LARGE - 1, LARGE])
def test_what_a_file_holds_comes_back(vocabulary):
    teacher = compact(distributions(2.0, vocabulary))
    assert torch.equal(full(from_tensors(to_tensors(teacher))), full(teacher))
    assert torch.equal(pad_teachers([teacher], 7)[0, 2:], full(teacher))


def test_shorter_teachers_are_aligned_on_the_right():
    short, long = torch.full((1, 4), 0.25), torch.full((3, 4), 0.25)
    padded = pad_teachers([short, long], 3)
    assert padded.shape == (2, 3, 4)
    assert padded[0].sum(-1).tolist() == [0.0, 0.0, 1.0]
    assert padded[1].sum(-1).tolist() == [1.0, 1.0, 1.0]
