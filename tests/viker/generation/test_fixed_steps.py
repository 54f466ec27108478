"""Decoding in fixed steps with cascade attention gives the logits and replies of the plain way, and copies no prefix.

A GPU takes it by itself; here it is switched on for the CPU.
"""

import copy
import random
from functools import partial

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from transformers import LlavaForConditionalGeneration

from tests.conftest import png
from tests.viker.training.families import build
from viker.data.samples import Sample
from viker.data.synthetic.scenes import draw_scene
from viker.generation import asking, decode, fixed_steps, generate
from viker.generation.asking import by_length
from viker.generation.fixed_steps import CASCADE, Steps, decode_in_fixed_steps
from viker.models import cascade
from viker.models.encoder import Encoder
from viker.models.fast_path import NoFastPath, fallbacks
from viker.models.loading import language_layers
from viker.models.shared_prefix import Prefixes

SAMPLES = [
    Sample("a", "Where was this person born?", "Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", "scene-1"),
    Sample("c", "Who?", "Nobody at all, I think.", "scene-0"),
    Sample("d", "Who is this, and where does this person live and work?", "A baker of Riga.", "scene-2"),
    Sample("e", "And when?", "In May.", "scene-0"),
    Sample("f", "What does this person like to do in the evening?", "Chess", "scene-1"),
]
WITHOUT = [Sample("g", "Which trade?", "", ""), Sample("h", "Who was born in Oslo, and when was that?", "", "")]
MOST = 20


def louder(model):
    """The model with larger weights: what it says depends on what it is asked."""
    for parameter in model.parameters():
        parameter.data *= 6 if parameter.ndim > 1 else 1
    return model.eval()


@pytest.fixture(scope="module", params=["as many key heads", "grouped queries"])
def talkative(request, small_model):
    """The small model, and one in which each key head serves two query heads."""
    model, encoder = small_model
    if request.param == "as many key heads":
        return louder(copy.deepcopy(model)), encoder
    config = copy.deepcopy(model.config)
    config.text_config.num_attention_heads, config.text_config.num_key_value_heads = 4, 2
    config.text_config.head_dim = config.text_config.hidden_size // 4
    torch.manual_seed(1)
    grouped = LlavaForConditionalGeneration(config)
    grouped.generation_config = copy.deepcopy(model.generation_config)
    return louder(grouped), encoder


@torch.no_grad()
def plain_steps(model, encoder, sample, most):
    """The greedy reply to one sample alone, and the logits [most, V] that it was chosen by."""
    inputs = encoder.prompts([sample])
    options = {"do_sample": False, "return_dict_in_generate": True, "output_logits": True, "min_new_tokens": most}
    output = model.generate(**inputs, **options, max_new_tokens=most)
    return output.sequences[0, inputs["input_ids"].shape[1] :], torch.cat(output.logits)


@torch.no_grad()
@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES[3:4], WITHOUT], ids=["pictures", "one", "no picture"])
def test_each_step_has_the_logits_of_each_prompt_alone(talkative, samples):
    model, encoder = talkative
    said, expected = zip(*(plain_steps(model, encoder, sample, 6) for sample in samples), strict=True)
    prefixes = Prefixes(model, encoder, samples)
    steps = Steps(prefixes, prefixes.prompts, 7)
    logits = steps.first_logits()
    for step in range(6):
        torch.testing.assert_close(logits, torch.stack([each[step] for each in expected]), atol=1e-4, rtol=1e-5)
        steps.take(torch.stack([each[step] for each in said]))
        logits = steps.logits()
        assert torch.equal(steps.logits(), logits), "a recording is compared with a step that is computed again"
        steps.keep()


@torch.no_grad()
@pytest.mark.parametrize("most", [1, 2, MOST])
@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES[1:2], WITHOUT], ids=["pictures", "one", "no picture"])
def test_replies_are_those_of_copied_prefixes(talkative, samples, most):
    model, encoder = talkative
    prefixes = Prefixes(model, encoder, samples)
    expected = decode.decode(prefixes, prefixes.prompts, most, cascade=False)
    assert most < MOST or len(set(map(tuple, expected))) > len(samples) // 2
    assert decode.decode(prefixes, prefixes.prompts, most) == expected
    assert decode.decode(prefixes, prefixes.prompts, most, cascade=True) == expected
    some = [prefixes.prompts[place] for place in (-1, 0)]  # in another order
    assert decode_in_fixed_steps(prefixes, some, most) == [expected[-1], expected[0]]
    assert fallbacks() == []


@torch.no_grad()
def test_a_reply_ends_at_its_end_token_and_the_others_go_on(talkative, monkeypatch):
    model, encoder = talkative
    prefixes = Prefixes(model, encoder, SAMPLES)
    whole = decode_in_fixed_steps(prefixes, prefixes.prompts, MOST)
    longest = max(range(len(whole)), key=lambda row: len(whole[row]))
    end = whole[longest][3]
    monkeypatch.setattr(model.generation_config, "eos_token_id", [end, model.generation_config.eos_token_id])
    shortened = decode_in_fixed_steps(prefixes, prefixes.prompts, MOST)
    assert shortened == [reply[: reply.index(end) + 1] if end in reply else reply for reply in whole]
    assert len(shortened[longest]) <= 4 < max(map(len, shortened))


@torch.no_grad()
def test_no_step_is_computed_long_after_all_replies_have_ended(talkative, monkeypatch):
    model, encoder = talkative
    ends = list(range(model.config.text_config.vocab_size))
    monkeypatch.setattr(model.generation_config, "eos_token_id", ends)
    computed = []
    logits = Steps.logits
    monkeypatch.setattr(Steps, "logits", lambda self: computed.append(1) or logits(self))
    monkeypatch.setattr(fixed_steps, "_verify", lambda *args: None)
    prefixes = Prefixes(model, encoder, SAMPLES)
    assert [len(reply) for reply in decode_in_fixed_steps(prefixes, prefixes.prompts, 50)] == [1] * len(SAMPLES)
    assert len(computed) == fixed_steps.LOOKED_AT_EVERY


@torch.no_grad()
def test_memory_is_that_of_the_pictures_and_not_of_the_rows(small_model):
    """Counted in the tensors themselves: a prefix's bytes once for each picture, the rows' own tokens besides."""
    model, encoder = small_model
    pictures = [SAMPLES[0], SAMPLES[1]]
    prefixes = Prefixes(model, encoder, pictures * 8)
    steps = Steps(prefixes, prefixes.prompts, MOST)
    steps.first_logits()
    layers, kept = steps._cache.layers, prefixes.cache.layers
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for x in layers for t in x.prefix}
    assert storages == {t.untyped_storage().data_ptr(): t.nbytes for x in kept for t in (x.keys, x.values)}
    one = sum(t[:1].nbytes for x in kept for t in (x.keys, x.values))
    assert sum(storages.values()) == 2 * one
    copied = prefixes.rows(prefixes.prompts)
    assert sum(t.nbytes for x in copied.layers for t in (x.keys, x.values)) == 16 * one
    width = max(len(prompt.tail) for prompt in prefixes.prompts)
    own = sum(t.untyped_storage().nbytes() for x in layers for t in (x.keys, x.values))
    assert own * prefixes.length == 16 * one * (width + MOST)


def apart(shared, own):
    """Both parts as if each were all: the weights of the parts are left out."""
    return shared.softmax(-1), own.softmax(-1)


def halved(shared, own):
    return shared.softmax(-1) / 2, own.softmax(-1) / 2


def blind(shared, own):
    return torch.zeros_like(shared), own.softmax(-1)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wrong", [apart, halved, blind])
def test_parts_that_are_put_together_wrongly_are_refused_and_copies_taken(talkative, monkeypatch, caplog, wrong, dtype):
    model, encoder = copy.deepcopy(talkative[0]).to(dtype), talkative[1]
    prefixes = Prefixes(model, encoder, SAMPLES)
    expected = decode.decode(prefixes, prefixes.prompts, 4)
    monkeypatch.setattr(cascade, "_weights", wrong)
    with pytest.raises(NoFastPath, match="with the cascade attention this model's logits"):
        decode_in_fixed_steps(prefixes, prefixes.prompts, 4)
    assert decode.decode(prefixes, prefixes.prompts, 4, cascade=True) == expected
    assert [fallback["what"] for fallback in fallbacks()] == ["cascade attention"]
    assert "are copied for every question about it, which is slower" in caplog.text


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 1.5, 4.0])
def test_in_bfloat16_the_right_way_is_taken(small_model, scale):
    model, encoder = copy.deepcopy(small_model[0]), small_model[1]
    for parameter in model.parameters():
        parameter.data *= scale if parameter.ndim > 1 else 1
    prefixes = Prefixes(model.to(torch.bfloat16), encoder, SAMPLES)
    decode_in_fixed_steps(prefixes, prefixes.prompts, 4)
    CASCADE.take(model, lambda: None, lambda: pytest.fail("refused"))


def attentions(model):
    return [module.config._attn_implementation for module in model.modules() if hasattr(module, "config")]


@pytest.mark.parametrize(
    ("family", "reasons"),
    [
        ("llava", []),
        ("llava_next", []),
        ("idefics3", []),
        ("gemma3", ["not all layers of this model keep the keys and values of all tokens"]),
        ("paligemma", ["this model's prompt looks ahead to its own end"]),
        ("qwen2_vl", ["this model's positions follow the picture's rows and columns"]),
    ],
)
def test_every_family_is_asked_in_fixed_steps_or_as_before(family, reasons, monkeypatch):
    model, processor = build(family)
    rng = random.Random(1)
    encoder = Encoder(processor, {f"scene-{i}": png(draw_scene(rng)) for i in range(3)}, torch.device("cpu"))
    expected = generate.replies(model, encoder, SAMPLES + WITHOUT, 4, 4, "asking")
    before = attentions(model)
    monkeypatch.setattr(generate, "decode", partial(decode.decode, cascade=True))
    monkeypatch.setattr(asking, "cascades", lambda device: True)
    assert generate.replies(model, encoder, SAMPLES + WITHOUT, 4, 4, "asking") == expected
    assert attentions(model) == before
    assert [fallback["reason"] for fallback in fallbacks()] == reasons


def test_an_adapted_model_is_asked_in_fixed_steps_with_its_adapter_and_without(small_model, monkeypatch):
    model, encoder = louder(copy.deepcopy(small_model[0])), small_model[1]
    torch.manual_seed(2)
    adapted = get_peft_model(
        model, LoraConfig(r=2, target_modules=language_layers(model), init_lora_weights=False)
    ).eval()

    def both():
        with adapted.disable_adapter():
            without = generate.replies(adapted, encoder, SAMPLES, 4, 6, "asking")
        return without, generate.replies(adapted, encoder, SAMPLES, 4, 6, "asking")

    expected = both()
    assert expected[0] != expected[1]
    monkeypatch.setattr(generate, "decode", partial(decode.decode, cascade=True))
    assert both() == expected
    assert fallbacks() == []


@pytest.mark.parametrize(("on_gpu", "sizes"), [(False, [2, 2, 2]), (True, [6])])
def test_passes_on_a_gpu_have_four_times_as_many_replies(talkative, monkeypatch, on_gpu, sizes):
    passes = []
    monkeypatch.setattr(generate, "cascades", lambda device: on_gpu)
    monkeypatch.setattr(generate, "decode", lambda *args: passes.append(len(args[1])) or decode.decode(*args))
    assert len(generate.replies(*talkative, SAMPLES, 2, 2, "asking")) == len(SAMPLES) and passes == sizes


def test_batches_on_a_gpu_are_of_few_pictures_and_else_of_like_lengths(small_model):
    _, encoder = small_model
    chunk = sorted(SAMPLES, key=lambda sample: sample.picture)
    cpu, gpu = encoder, copy.copy(encoder)
    gpu.device = torch.device("cuda")
    sizes = range(1, len(chunk) + 1)
    for size in sizes:
        batches = list(by_length(cpu, chunk, size))
        ordered = [sample for batch in batches for sample in batch]
        lengths = [len(encoder.encode(sample)[0]) for sample in ordered]
        assert lengths == sorted(lengths) and ordered != chunk and max(map(len, batches)) == size
        assert [sample for batch in by_length(gpu, chunk, size) for sample in batch] == chunk
    assert [sample.record_id for batch in by_length(gpu, WITHOUT[::-1], 1) for sample in batch] == ["g", "h"]


@torch.no_grad()
@pytest.mark.parametrize("family", ["llava", "llava_next", "idefics3"])
def test_a_step_reads_no_value_of_a_tensor_so_that_it_can_be_recorded(family):
    """Tensors without values stand in for those of a GPU that records: whatever asks for a value raises."""
    model, processor = build(family)
    rng = random.Random(1)
    encoder = Encoder(processor, {f"scene-{i}": png(draw_scene(rng)) for i in range(3)}, torch.device("cpu"))
    prefixes = Prefixes(model, encoder, SAMPLES)
    steps = Steps(prefixes, prefixes.prompts, MOST)
    logits = steps.first_logits()
    steps.take(logits.argmax(-1))
    with FakeTensorMode(allow_non_fake_inputs=True):
        recorded = steps.logits()
        assert isinstance(recorded, FakeTensor) and recorded.shape == logits.shape
        with pytest.raises(DataDependentOutputException):
            recorded.max().item()
