"""MMUnlearner's mask."""

import torch

from tests.viker.methods.plain import forget, likelihood, retain
from viker.methods.mmunlearner import MMUnlearner, salient


def written_out(inputs, settings):
    return likelihood(forget(inputs)) - likelihood(retain(inputs))


def test_a_weight_forgets_where_it_matters_more_to_forget_than_to_retain():
    forget, retain = torch.tensor([2.0, 1.0, 0.5, 0.0, 0.0]), torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    assert salient(forget, retain, MMUnlearner()).tolist() == [True, True, False, False, True]
    assert salient(forget, retain, MMUnlearner(threshold=1.5)).tolist() == [True, False, False, False, False]
    assert salient(forget, retain, MMUnlearner(threshold=0.4)).tolist() == [True, True, True, False, True]
