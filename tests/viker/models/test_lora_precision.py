"""LoRA matrices are stored in float32 and computed with in the model's precision."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from viker.data.samples import Sample
from viker.models.loading import language_layers
from viker.models.logits import answer_logits
from viker.models.lora_precision import compute_in_model_precision

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", "scene-1"),
]


@pytest.fixture
def adapted(small_model):
    """Return a function: the small model of a precision, with an adapter that changes what it says."""
    model, encoder = small_model

    def adapt(precision: torch.dtype, **changes):
        torch.manual_seed(3)
        own = copy.deepcopy(model).to(precision)
        lora = get_peft_model(own, LoraConfig(r=4, lora_alpha=8, target_modules=language_layers(own), **changes))
        for name, parameter in lora.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        return lora

    return adapt, encoder.batch(SAMPLES)


@pytest.mark.filterwarnings("ignore:.lora_bias")  # such adapters can't be merged
@pytest.mark.parametrize("changes", [{}, {"lora_bias": True}])
def test_a_float32_model_computes_the_same_bytes(adapted, changes):
    adapt, batch = adapted
    peft, ours = adapt(torch.float32, **changes), compute_in_model_precision(adapt(torch.float32, **changes))
    logits = answer_logits(peft, batch), answer_logits(ours, batch)
    for each in logits:
        each.square().mean().backward()
    assert torch.equal(*logits)
    pairs = list(zip(trained(peft), trained(ours), strict=True))
    assert pairs and all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_in_half_precision_no_activation_is_cast_and_the_gradient_is_that_of_the_stored_weights(adapted):
    adapt, batch = adapted
    ours = compute_in_model_precision(adapt(torch.bfloat16))
    seen = set()
    for module in ours.modules():
        if type(module).__name__ == "CastLinear":
            module.register_forward_hook(lambda _, args, out: seen.update((args[0].dtype, out.dtype)))
    logits = answer_logits(ours, batch)
    logits.float().square().mean().backward()
    assert seen == {torch.bfloat16}
    assert {(p.dtype, p.grad.dtype) for p in trained(ours)} == {(torch.float32, torch.float32)}

    def error(model):
        with torch.no_grad():
            return (answer_logits(model, batch).float() - exact).norm() / exact.norm()

    exact = answer_logits(adapt(torch.float32), batch).detach()
    assert error(ours) < 1.5 * error(adapt(torch.bfloat16)), "as near to float32 as with PEFT's own casts"


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
