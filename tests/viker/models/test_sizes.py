"""What passes need, by the formulas of all parts, against what torch allocates for a model of 8 million parameters."""

from typing import Any

import pytest
import torch

from benchmarks.unlearn.model import IMAGES, SIZES, Bench, bench
from benchmarks.unlearn.peak import allocated
from viker.attacks.base.memory import soft_prompt_bytes, universal_perturbation_bytes
from viker.attacks.base.subject import Subject
from viker.finetuning.settings import ModelParams
from viker.generation.generate import replies
from viker.generation.memory import likelihoods_bytes, replies_bytes, states_bytes
from viker.generation.score import token_scores
from viker.generation.states import states_before_reply
from viker.models.kept_prefixes import KeptPrefixes
from viker.models.sizes import LanguageSizes, Lengths, VisionSizes, language_sizes, lengths_of, vision_sizes
from viker.teacher.memory import teacher_batch, teacher_pass_bytes
from viker.teacher.visual import compute_teachers

SMALL = {
    "image_size": 168,
    "patch_size": 14,
    "vision_width": 64,
    "vision_layers": 2,
    "width": 320,
    "layers": 6,
    "heads": 8,
    "vocabulary": 2000,
}
LLAVA = LanguageSizes(layers=32, width=4096, queries=4096, keys=4096, mlp=11008, heads=32, vocabulary=32064)
LENGTHS = Lengths(picture=580, prompt=36, answer=60)
GIB = 2**30
MOST = 20
PICTURES = 4


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def benched(request) -> Bench:
    SIZES["measured"] = ModelParams(**SMALL)
    setup = bench("measured", 16)
    setup.model.to(request.param).requires_grad_(False)
    return setup


def of(setup: Bench) -> tuple[LanguageSizes, int, Lengths]:
    model = setup.model
    return language_sizes(model.config), model.dtype.itemsize, lengths_of(setup.encoder, model, setup.samples)


def measured(run: Any) -> int:
    """The peak of a second run: the first one verifies the fast paths."""
    run()
    return allocated(run)


@pytest.mark.parametrize("count", [4, 16])
def test_the_teacher_takes_what_the_plan_counts(benched, count):
    model, encoder, samples = benched.model, benched.encoder, benched.samples[:count]
    peak = measured(lambda: compute_teachers(model, encoder, samples, [IMAGES[:2]] * count, count))
    assert teacher_pass_bytes(*of(benched), count, count) == pytest.approx(peak, rel=0.15)


@pytest.mark.parametrize("count", [4, 16])
def test_likelihoods_take_what_the_plan_counts(benched, count):
    peak = measured(lambda: token_scores(benched.model, benched.encoder, benched.samples[:count], count))
    assert likelihoods_bytes(*of(benched), count, PICTURES) == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize("count", [4, 16])
def test_replies_take_what_the_plan_counts_and_at_most_copies_of_what_rows_read(benched, count):
    """Copies: of its picture for each row, and of all that a row reads for those left when half of them have ended."""
    sizes, e, lengths = of(benched)
    peak = measured(lambda: replies(benched.model, benched.encoder, benched.samples[:count], count, MOST, "test"))
    planned = replies_bytes(sizes, e, lengths, count, PICTURES, MOST)
    pictures, texts = (count * tokens * sizes.cache_bytes(e) for tokens in (lengths.picture, lengths.prompt + MOST))
    assert 0.95 * planned < peak < 1.05 * (planned + pictures + (pictures + texts) / 2)


@pytest.mark.parametrize("count", [4, 16])
def test_states_take_what_the_plan_counts(benched, count):
    """Without oneDNN, whose products in half precision take memory of their own on AVX-512, as no GPU's do."""
    sizes, e, lengths = of(benched)
    with torch.backends.mkldnn.flags(enabled=False):
        peak = measured(lambda: states_before_reply(benched.model, benched.encoder, benched.samples[:count], count, ""))
    assert states_bytes(sizes, e, lengths, count, PICTURES) == pytest.approx(peak, rel=0.05)


def test_pictures_take_what_the_plan_counts_while_they_are_read(benched):
    sizes, e, lengths = of(benched)
    peak = measured(lambda: KeptPrefixes(benched.model, benched.encoder, benched.samples).of(benched.samples))
    pixels = PICTURES * 3 * 168**2 * 4  # not counted: one picture's are a part in 200 of its keys and values in LLaVA
    assert replies_bytes(sizes, e, lengths, 1, PICTURES, 1) + pixels == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize("count", [4, 8])
def test_attacks_that_optimise_an_input_take_what_the_plan_counts(benched, count):
    model, samples = benched.model, benched.samples[:count]
    subject, embeddings = Subject("unlearned", model, True, benched.encoder, count, MOST), model.get_input_embeddings()
    sizes, e, lengths = of(benched)

    def soft_prompt():
        soft = torch.zeros(sizes.width, requires_grad=True)
        hook = embeddings.register_forward_hook(lambda _, __, out: out + soft.to(out.dtype))
        torch.autograd.grad(subject.loss(samples), soft)
        hook.remove()

    pixels = benched.encoder.batch(samples).inputs["pixel_values"]

    def perturbation():
        change = torch.zeros(pixels.shape[1:], requires_grad=True)
        torch.autograd.grad(subject.loss(samples, pixels + change), change)

    vision = vision_sizes(model.config)
    assert soft_prompt_bytes(sizes, e, lengths, count, 0) == pytest.approx(measured(soft_prompt), rel=0.1)
    planned = universal_perturbation_bytes(sizes, vision, e, lengths, count)
    assert planned == pytest.approx(measured(perturbation), rel=0.1)


def test_sizes_are_those_of_the_configuration(benched):
    config = benched.model.config
    assert language_sizes(config).keys == 320 and vision_sizes(config) == VisionSizes(2, 64, 256, 145)
    config.text_config.num_key_value_heads, before = 2, config.text_config.num_key_value_heads
    assert language_sizes(config).keys == 80
    config.text_config.num_key_value_heads = before


def test_a_token_of_llava_7b_takes_half_a_mebibyte_in_half_precision():
    assert LLAVA.cache_bytes(2) == 2**19 and LLAVA.layer_bytes(2) == 98_816


@pytest.mark.parametrize(("free", "samples"), [(80, 32), (4, 32), (3, 16), (2, 4), (0, 1)])
def test_the_teachers_pass_begins_with_what_fits_the_free_memory_and_32_at_most(free, samples):
    assert teacher_batch(LLAVA, 2, LENGTHS, 500, free * GIB) == samples


def test_replies_hold_each_picture_once_and_the_rows_texts_as_long_as_they_become():
    one, more_rows = (replies_bytes(LLAVA, 2, LENGTHS, rows, 1, 50) for rows in (32, 64))
    assert more_rows - one == 32 * ((36 + 50) * 2**19 + 36 * 98_816)
    more_pictures = replies_bytes(LLAVA, 2, LENGTHS, 32, 3, 50)
    assert more_pictures - one == 2 * 580 * 2**19
