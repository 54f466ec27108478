"""The teacher at half the size: what the loss gets of it is close enough, and where it would not pay it is exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viker.methods.base.tokens import divergence
from viker.teacher.compact import EXACT, LARGE, Compact, bytes_a_token, from_tensors, keep, to_tensors, whole
from viker.teacher.visual import pad_teachers


def distributions(sharpness: float, vocabulary: int = LARGE, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return (sharpness * torch.randn(5, vocabulary)).softmax(-1)


@given(sharpness=st.floats(0, 12), seed=st.integers(0, 100))
def test_the_loss_is_that_of_the_exact_teacher_to_a_hundred_thousandth_of_a_nat_or_of_itself(sharpness, seed):
    p, log_q = distributions(sharpness, seed=seed), distributions(3.0, seed=seed + 1).log()
    exact = divergence(p, log_q)
    torch.testing.assert_close(divergence(whole(keep(p)), log_q), exact, atol=1e-4, rtol=1e-4)
    assert (whole(keep(p)) - p).abs().sum(-1).max() < 6e-4


def test_the_largest_entries_keep_every_bit_and_the_size_is_half():
    p = distributions(4.0)
    kept = keep(p)
    assert isinstance(kept, Compact) and len(kept) == len(p)
    values, places = p.topk(EXACT, -1)
    assert torch.equal(whole(kept).gather(-1, places), values)
    assert sum(t.nbytes for t in to_tensors(kept).values()) == len(p) * bytes_a_token(LARGE) < 0.52 * p.nbytes


def test_a_small_vocabularys_distributions_stay_as_they_are():
    p = distributions(1.0, LARGE - 1)
    assert whole(keep(p)) is p and p.nbytes == len(p) * bytes_a_token(LARGE - 1)


@pytest.mark.parametrize("vocabulary", [LARGE - 1, LARGE])
def test_what_a_file_holds_comes_back(vocabulary):
    kept = keep(distributions(2.0, vocabulary))
    assert torch.equal(whole(from_tensors(to_tensors(kept))), whole(kept))
    assert torch.equal(pad_teachers([kept], 7)[0, 2:], whole(kept))
