"""The unlearned model compared with a retrained one, versus SciPy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from viker.metrics.retrained_model import forget_quality

RATIOS = st.lists(st.floats(0, 10), min_size=1, max_size=30)


@given(RATIOS, RATIOS)
def test_forget_quality_is_scipys_ks_test(ours, gold):
    assert forget_quality(ours, gold) == pytest.approx(ks_2samp(ours, gold).pvalue)


def test_forget_quality_by_hand():
    """Of 3 against 3 all apart, two of the 20 ways to mix them are as far apart: p = 0.1."""
    assert forget_quality([1, 2, 3], [4, 5, 6]) == pytest.approx(0.1)
    assert forget_quality([1, 2, 3], [1, 2, 3]) == 1
    assert forget_quality([], [1]) is None
