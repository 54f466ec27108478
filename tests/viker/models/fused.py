"""What tests of fused layers share: an adapter that says something on the small model, and samples of three lengths."""

import copy
from collections import Counter

import torch
from peft import LoraConfig, get_peft_model

from viker.data.samples import Sample
from viker.models.loading import language_layers
from viker.models.lora_precision import compute_in_model_precision

SAMPLES = [
    Sample("a", "Where was this person born?", "In Oslo, by the sea.", "wide"),
    Sample("b", "Which?", "A", ""),
    Sample("c", "Where?", "By the sea.", "square"),
]


def adapted(model, precision=torch.float32, **changes):
    torch.manual_seed(3)
    own = copy.deepcopy(model).to(precision)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=language_layers(own), **changes)
    return filled(compute_in_model_precision(get_peft_model(own, lora)))


def filled(model):
    """Give a fresh adapter something to say: B is 0 at first."""
    torch.manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def fused_types(model):
    return Counter(type(module).__name__ for module in model.modules() if "forward" in vars(module))
