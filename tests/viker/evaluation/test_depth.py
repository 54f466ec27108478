"""The depth of unlearning tells weights that forgot from an adapter that only doesn't say what its states hold."""

from copy import deepcopy

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.evaluation.depth import KNOWING, depth, unlearning_depth
from viker.models.loading import language_layers
from viker.models.logits import answer_logits

LEARNT, MOST_STEPS = 0.05, 400
NATS = st.floats(-5, 5, allow_nan=False, width=32)


@given(st.lists(st.tuples(NATS, NATS), min_size=1, max_size=6))
@example([(torch.tensor(KNOWING).item(), 0.0)])
def test_the_depth_is_the_share_of_what_a_retrained_models_states_lack(costs) -> None:
    retrained, unlearned = (torch.tensor(own) for own in zip(*costs, strict=True))
    found = depth(retrained, unlearned)
    known = torch.tensor(KNOWING).item()  # in float32, as the costs are: that of 0.05 is greater than 0.05
    layers = [(r, u) for r, u in zip(retrained.tolist(), unlearned.tolist(), strict=True) if r > known]
    if not layers:
        assert found is None
        return
    weighted = sum(r * min(max(u / r, 0), 1) for r, u in layers) / sum(r for r, _ in layers)
    assert found == pytest.approx(weighted, abs=1e-5)
    assert 0 <= found <= 1
    assert depth(retrained, retrained) == pytest.approx(1) and depth(retrained, 0 * unlearned) == 0


@pytest.fixture(scope="module")
def known(small_model, prepared):
    """A model that was trained until it knows a few answers, before that, and the samples with their private values."""
    untrained, encoder = small_model
    records = [r for r in read_records(prepared, "forget") if r.task == "qa" and r.secrets][:4]
    samples, values = [sample_of(record) for record in records], [record.secrets for record in records]
    model = deepcopy(untrained)
    batch, optimizer = encoder.batch(samples), torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        loss = torch.nn.functional.cross_entropy(answer_logits(model, batch)[batch.mask], batch.answers[batch.mask])
        if loss.item() < LEARNT:
            return model.eval(), untrained, encoder, samples, values
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise AssertionError(f"the model didn't learn the answers in {MOST_STEPS} steps")


def adapted_to(model, weights, layers: str = "all"):
    """The model with an adapter that makes its linear layers, all or those of the last layer, those of ``weights``."""
    modules = language_layers(model)
    rank = 64
    adapted = get_peft_model(deepcopy(model), LoraConfig(r=rank, lora_alpha=rank, target_modules=modules)).eval()
    other = dict(weights.named_modules())
    last = max(int(name.split("layers.")[1].split(".")[0]) for name in other if "language_model.layers." in name)
    for name, module in adapted.get_base_model().named_modules():
        if hasattr(module, "lora_A"):
            wanted = layers == "all" or f"layers.{last}." in name
            difference = other[name].weight - module.base_layer.weight if wanted else 0 * module.base_layer.weight
            u, s, v = torch.linalg.svd(difference.detach(), full_matrices=False)
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            a.data.zero_()[: len(s)] = s.sqrt()[:, None] * v
            b.data.zero_()[:, : len(s)] = u * s.sqrt()
    return adapted


def test_weights_that_forgot_are_deep_and_an_adapter_that_changes_nothing_is_not(known) -> None:
    model, untrained, encoder, samples, values = known
    nothing = adapted_to(model, model)
    assert unlearning_depth(nothing, untrained, encoder, samples, values, 3) == pytest.approx(0, abs=1e-4)
    forgot = adapted_to(model, untrained)
    assert unlearning_depth(forgot, untrained, encoder, samples, values, 3) > 0.8


def test_an_adapter_that_hides_the_answers_in_the_last_layer_alone_is_shallow(known) -> None:
    model, untrained, encoder, samples, values = known
    hiding, forgot = adapted_to(model, untrained, "last"), adapted_to(model, untrained)
    shallow, deep = (unlearning_depth(one, untrained, encoder, samples, values, 3) for one in (hiding, forgot))
    assert shallow < deep - 0.2


def test_without_private_values_or_with_a_model_of_other_sizes_there_is_no_depth(known) -> None:
    model, untrained, encoder, samples, _ = known
    adapted = adapted_to(model, untrained)
    assert unlearning_depth(adapted, untrained, encoder, samples, [()] * len(samples), 3) is None
    smaller = deepcopy(untrained)
    del smaller.get_decoder().layers[-1]
    assert unlearning_depth(adapted, smaller, encoder, samples, [("x",)] * len(samples), 3) is None
