"""The language model in 4 bits: only it, and the adapter trains and is saved as on a whole one."""

import shutil

import pytest
import torch
from peft import PeftModel

from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from viker.core.errors import UserError
from viker.data.records import read_pictures, read_records
from viker.data.samples import sample_of
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.methods.viker import viker_loss
from viker.models import loading
from viker.models.encoder import Encoder
from viker.models.fast_path import fallbacks
from viker.models.fused_layers import fuse_layers
from viker.models.loading import load_model
from viker.models.logits import answer_logits
from viker.training.adapter import put_adapter
from viker.training.settings import UnlearnParams
from viker.training.start_model import load_start_model


@pytest.fixture(scope="module")
def wider(prepared):
    """An untrained LLaVA whose rows are as long as the 64 weights that share a scale."""
    torch.manual_seed(5)
    sizes = ModelParams(
        image_size=16, patch_size=8, vision_width=64, vision_layers=1, width=64, layers=1, heads=2, vocabulary=400
    )
    processor = build_processor(tokenizer_texts(read_records(prepared, "forget")), sizes)
    model = build_model(processor, sizes).eval()
    return model, Encoder(processor, read_pictures(prepared), torch.device("cpu"))


@pytest.fixture(scope="module")
def project(prepared, wider, tmp_path_factory, params):
    folder = tmp_path_factory.mktemp("quantised")
    model, encoder = wider
    shutil.copytree(prepared, folder / "prepared")
    model.save_pretrained(folder / "vanilla")
    encoder.processor.save_pretrained(folder / "vanilla")
    sample(params.sample, 7, folder / "prepared", folder / "irrelevant")
    return folder


def test_only_the_language_models_matrices_are_in_4_bits(project, wider):
    whole, encoder = wider
    model, _ = load_model(str(project / "vanilla"), "vanilla", in_4bit=True)
    in_4bit = {name for name, p in model.named_parameters() if p.dtype == torch.uint8}
    assert in_4bit and all("language_model" in name for name in in_4bit)
    exact = dict(whole.named_parameters())
    for name, parameter in model.named_parameters():
        assert name in in_4bit or torch.equal(parameter, exact[name])
    assert all(n in in_4bit for n in exact if "language_model" in n and "proj" in n)
    batch = encoder.batch([sample_of(read_records(project / "prepared", "forget")[0])])
    error = (answer_logits(model, batch) - answer_logits(whole, batch)).norm() / answer_logits(whole, batch).norm()
    assert 0 < error < 0.3


def test_gradients_through_4_bits_are_those_of_the_rounded_weights(project, wider, params):
    _, encoder = wider
    batch = encoder.batch([sample_of(r) for r in read_records(project / "prepared", "forget")[:2]])
    gradients = []
    for rounded in (False, True):
        model, _ = load_model(str(project / "vanilla"), "vanilla", in_4bit=True)
        with torch.no_grad():  # as the teacher does before the training
            answer_logits(model, batch)
        if rounded:
            model.dequantize()
        torch.manual_seed(0)
        adapted = put_adapter(params.unlearn, model).train()
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
        viker_loss(answer_logits(adapted, batch), batch.answers, None, 0.0)["loss"].backward()
        gradients.append({n: p.grad for n, p in adapted.named_parameters() if p.requires_grad})
    assert len(gradients[0]) == len(gradients[1]) > 0
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-5)


def test_a_run_in_4_bits_trains_an_adapter_that_the_whole_model_loads(project, params):
    small = {"epochs": 1, "retain_batch_size": 2, "load_in_4bit": True}
    settings = UnlearnParams(**params.unlearn.model_dump(by_alias=True) | small)
    places = (project / name for name in ("prepared", "vanilla", "irrelevant", "adapter", "records", "state"))
    done = unlearn(settings, 7, 1, Arguments(*places))
    assert done["steps"] > 0
    adapted = PeftModel.from_pretrained(load_model(str(project / "vanilla"), "vanilla")[0], project / "adapter")
    moved = [p for name, p in adapted.named_parameters() if "lora_B" in name]
    assert moved and all(p.abs().max() > 0 for p in moved)


def test_without_bitsandbytes_the_error_says_what_to_install(project, monkeypatch):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"unlearn\.load_in_4bit needs bitsandbytes: pip install 'viker\[quantised\]'"):
        load_model(str(project / "vanilla"), "vanilla", in_4bit=True)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_its_layers_are_fused_where_that_changes_neither_logits_nor_gradients(project, wider, params, precision):
    section = params.unlearn.model_copy(update={"load_in_4bit": True, "precision": precision})
    model, _ = load_start_model(section, project / "vanilla")
    adapted = put_adapter(section, model)
    samples = [sample_of(record) for record in read_records(project / "prepared", "forget")]
    fuse_layers(adapted, wider[1], samples)
    kinds = {type(module).__name__ for module in adapted.modules() if "forward" in vars(module)}
    assert kinds >= {"LlamaMLP", "LlamaAttention", "LlamaRMSNorm"} and fallbacks() == []
