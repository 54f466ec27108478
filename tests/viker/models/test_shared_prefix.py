"""Kept keys and values of pictures: logits after them are those of the whole sequence, and nothing is copied twice."""

from dataclasses import replace

import pytest
import torch

from viker.data.samples import Sample
from viker.models.fast_path import NoFastPath
from viker.models.logits import answer_logits
from viker.models.shared_prefix import Prefixes, need_shareable

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Where was this person born?", "This person was born in Rome.", "scene-0"),
    Sample("c", "Which trade?", "Fishing.", "scene-1"),
    Sample("d", "What does this person like to do in the evening?", "Chess", "scene-1"),
]


def assert_plain(model, encoder, prompts, logits, places):
    for prompt, place in zip(prompts, places, strict=True):
        plain = answer_logits(model, encoder.batch([prompt.sample]))[0]
        torch.testing.assert_close(logits[place], plain, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("rows", [[[0, 1], [2, 3]], [[2], [0, 1], [3]], [[1]]])
def test_trees_of_several_pictures_give_the_logits_of_the_whole_sequences(small_model, rows):
    model, encoder = small_model
    prompts = Prefixes(model, encoder, SAMPLES).prompts
    prefixes = Prefixes(model, encoder, SAMPLES)
    logits, places = prefixes.tree_logits([[prompts[i] for i in row] for row in rows])
    assert_plain(model, encoder, [prompts[i] for row in rows for i in row], logits, places)


@torch.no_grad()
@pytest.mark.parametrize("picture", ["scene-0", ""])
def test_one_tree_holds_the_texts_of_several_questions(small_model, picture):
    model, encoder = small_model
    prefixes = Prefixes(model, encoder, [replace(sample, picture=picture) for sample in SAMPLES])
    assert_plain(model, encoder, prefixes.prompts, *prefixes.tree_logits([prefixes.prompts]))


@torch.no_grad()
def test_texts_after_a_single_picture_do_not_copy_what_is_kept_of_it(small_model):
    model, encoder = small_model
    samples = [replace(sample, picture="scene-0") for sample in SAMPLES]
    prefixes = Prefixes(model, encoder, samples)
    first, second = [[prompt] for prompt in (prefixes.prompts[0], prefixes.prompts[2])]
    prefixes.tree_logits([first])
    before = prefixes.cache.layers[0].keys.data_ptr()
    logits, _ = prefixes.tree_logits([second])
    assert prefixes.cache.layers[0].keys.data_ptr() == before
    assert prefixes.cache.get_seq_length() == prefixes.length
    torch.testing.assert_close(logits, Prefixes(model, encoder, samples).tree_logits([second])[0], atol=0, rtol=0)


@torch.no_grad()
def test_several_pictures_stay_as_they_are_kept(small_model):
    model, encoder = small_model
    prefixes = Prefixes(model, encoder, SAMPLES)
    before = prefixes.cache.layers[0].keys.clone()
    prefixes.tree_logits([prefixes.prompts[2:], prefixes.prompts[:2]])
    assert torch.equal(prefixes.cache.layers[0].keys, before)


def test_a_window_shorter_than_the_texts_is_no_fast_path(small_model, monkeypatch):
    model, encoder = small_model
    prefixes = Prefixes(model, encoder, SAMPLES)
    text = model.config.get_text_config()
    monkeypatch.setattr(text, "layer_types", ["sliding_attention"] * 2, raising=False)
    monkeypatch.setattr(text, "sliding_window", prefixes.length + 3, raising=False)
    with pytest.raises(NoFastPath, match="no further than its window"):
        prefixes.tree_logits([prefixes.prompts[:1]])


def test_what_a_comparison_of_logits_could_miss_is_refused_by_configuration(small_model, monkeypatch):
    model, _ = small_model
    need_shareable(model)
    with monkeypatch.context() as patch:
        patch.setattr(model, "forward", lambda input_ids: None)
        with pytest.raises(NoFastPath, match="logits of all positions"):
            need_shareable(model)
    with monkeypatch.context() as patch:
        patch.setattr(model.config, "model_type", "paligemma")
        with pytest.raises(NoFastPath, match="looks ahead"):
            need_shareable(model)
    monkeypatch.setattr(model.config.get_text_config(), "rope_parameters", {"mrope_section": [1, 1]}, raising=False)
    with pytest.raises(NoFastPath, match="rows and columns"):
        need_shareable(model)
