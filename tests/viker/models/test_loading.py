"""Models that can't be loaded: the error lists what is there instead."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from viker.core.errors import UserError
from viker.models.loading import language_layers, load_model


def test_a_folder_that_is_not_there_lists_its_neighbours(tmp_path):
    (tmp_path / "llava").mkdir()
    with pytest.raises(UserError, match=r"finetune.deployed_model: .*no such folder; in '.*' there is llava\."):
        load_model(str(tmp_path / "lava"), "finetune.deployed_model")


def test_a_folder_without_a_model_lists_what_it_holds(tmp_path):
    (tmp_path / "weights.bin").touch()
    with pytest.raises(UserError, match=r"no config.json in that folder; it holds weights.bin"):
        load_model(str(tmp_path), "here")


def test_a_model_of_text_alone_lists_the_types_that_are_supported(tmp_path, small_model):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=400, **sizes)).save_pretrained(tmp_path)
    small_model[1].processor.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"isn't an image-text-to-text model\. .*gemma3.*llava.*qwen2_vl"):
        load_model(str(tmp_path), "here")


def test_a_model_without_a_language_part_lists_its_parts():
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    with pytest.raises(UserError, match=r"no linear layers of a language model .* made of embed_tokens"):
        language_layers(LlamaForCausalLM(LlamaConfig(vocab_size=40, **sizes)).model)
