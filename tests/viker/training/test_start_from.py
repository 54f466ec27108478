"""A second request goes on from the adapter of the first."""

import pytest
import torch
from safetensors.torch import load_file

from viker.core.errors import UserError
from viker.training.adapter import check_start, put_adapter


@pytest.fixture
def earlier(small_model, params, tmp_path):
    """An adapter with random weights, as an earlier request leaves it."""
    model, _ = small_model
    adapted = put_adapter(params.unlearn, model)
    torch.manual_seed(3)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(tmp_path / "earlier")
    adapted.unload()
    return tmp_path / "earlier"


def test_training_starts_from_the_earlier_weights_and_can_change_them(small_model, params, earlier):
    model, _ = small_model
    adapted = put_adapter(params.unlearn.model_copy(update={"start_from": str(earlier)}), model)
    trained = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    before = load_file(earlier / "adapter_model.safetensors")
    assert {name.replace(".default.", ".") for name in trained} == set(before)
    for name, weight in trained.items():
        torch.testing.assert_close(weight.detach(), before[name.replace(".default.", ".")], atol=0, rtol=0)
    adapted.unload()


@pytest.mark.parametrize(("changes", "said"), [({"lora_r": 4}, "lora_r to 8"), ({"lora_alpha": 4}, "lora_alpha to 16")])
def test_an_adapter_of_other_sizes_is_refused_with_the_remedy(params, earlier, changes, said):
    with pytest.raises(UserError, match=f"Set unlearn.{said}"):
        check_start(params.unlearn.model_copy(update={"start_from": str(earlier)} | changes))


def test_a_missing_adapter_is_named(params, tmp_path):
    with pytest.raises(UserError, match=r"unlearn\.start_from is '.*nowhere': no adapter here: no adapter_model"):
        check_start(params.unlearn.model_copy(update={"start_from": str(tmp_path / "nowhere")}))
