"""Every family of models: the same encoder, the same adapter, the same trainer."""

import copy
import io
import random

import pytest
import torch
from peft import PeftModel
from PIL import Image
from torch.distributed.tensor import DTensor
from transformers import AutoModelForImageTextToText

from benchmarks.unlearn.naive import naive_teacher
from tests.conftest import png
from tests.viker.training.families import END, FAMILIES, build
from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.models.vision_features import FeatureEncoder, reuse_features
from viker.teacher.visual import teacher_probabilities
from viker.training.make_trainer import make_trainer
from viker.training.sharding import load_in_turn

SAMPLES = [
    Sample("a", "Where was this person born?", "In Oslo, by the sea.", "wide"),
    Sample("b", "Which?", "A", ""),
    Sample("c", "Where?", "By the sea.", "square"),
]


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    model, processor = build(request.param)
    rng = random.Random(1)
    sizes = {"wide": (60, 30), "square": (40, 40), "grey": (30, 50)}
    pictures = {
        name: png(Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))) for name, size in sizes.items()
    }
    return request.param, model, Encoder(processor, pictures, torch.device("cpu"))


def test_the_masked_ids_are_the_answer_and_its_end(family):
    name, _, encoder = family
    batch = encoder.batch(SAMPLES)
    for answers, mask, sample in zip(batch.answers, batch.mask, SAMPLES, strict=True):
        assert encoder.tokenizer.decode(answers[mask]).lstrip() == f"{sample.answer}{END[name]}"


def test_the_prompt_is_the_batch_without_the_answer_and_starts_once(family):
    _, _, encoder = family
    for sample in SAMPLES:
        batch, prompt = encoder.batch([sample]), encoder.prompts([sample])["input_ids"][0].tolist()
        ids = batch.inputs["input_ids"][0].tolist()
        assert ids == prompt + batch.answers[0].tolist()
        assert sample.prompt in encoder.tokenizer.decode(prompt)
        assert prompt.count(encoder.tokenizer.bos_token_id) == (encoder.tokenizer.bos_token_id is not None)


def test_what_the_encoder_makes_of_a_picture_is_what_the_processor_makes(family):
    name, _, encoder = family
    sample = SAMPLES[0]
    prompt = encoder.prompts([sample])
    text = encoder.template.prompt(sample.prompt, with_picture=True)
    if name == "paligemma":
        text = f"{encoder.processor.image_token}{sample.prompt}"  # its processor adds BOS and the line's end
    picture = Image.open(io.BytesIO(encoder.pictures["wide"]))
    expected = encoder.processor(text=[text], images=[picture], return_tensors="pt", add_special_tokens=False)
    for key in set(prompt) & set(expected) - {"token_type_ids"}:
        torch.testing.assert_close(prompt[key], expected[key].to(prompt[key].dtype), atol=0, rtol=0)
    assert set(expected) - set(prompt) <= {"token_type_ids", "labels"}


def test_padding_and_company_do_not_change_a_samples_logits(family):
    _, model, encoder = family
    with torch.no_grad():
        batch = encoder.batch(SAMPLES)
        together = answer_logits(model, batch)
        for row, sample in enumerate(SAMPLES):
            alone = answer_logits(model, encoder.batch([sample]))[0]
            torch.testing.assert_close(together[row][batch.mask[row]], alone, atol=2e-5, rtol=1e-3)


def test_one_step_trains_the_language_model_alone_and_comes_back_from_disk(family, params, tmp_path):
    name, model, encoder = family
    model.save_pretrained(tmp_path / "base")
    teachers = teacher_probabilities(model, encoder, SAMPLES, [["grey", "square"]] * 3, 2)
    settings = params.unlearn.model_copy(update={"epochs": 1, "batch_size": 4, "retain_batch_size": 2})
    trainer = make_trainer(settings, 1, model, encoder, SAMPLES, SAMPLES[1:], teachers)
    before = {key: value.clone() for key, value in trainer.model.named_parameters()}
    trainer.train()
    adapted = trainer.model.eval()

    trained = {key for key, value in adapted.named_parameters() if not torch.equal(value, before[key])}
    assert trained and all("lora_" in key for key in trained)
    layers = {key.split(".lora_")[0] for key, _ in adapted.named_parameters() if "lora_" in key}
    language = "text_model" if name == "idefics3" else "language_model"
    assert layers and all(f".{language}." in key and "vision" not in key and "lm_head" not in key for key in layers)
    assert len(layers) == 2 * 7  # two layers: q, k, v, o, gate, up, down

    adapted.save_pretrained(tmp_path / "adapter", safe_serialization=True)
    batch = encoder.batch(SAMPLES)
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "base", use_safetensors=True).eval()
    back = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        torch.testing.assert_close(answer_logits(back, batch), answer_logits(adapted, batch), atol=0, rtol=0)
        prompts = encoder.prompts(SAMPLES)
        said = back.generate(**prompts, do_sample=False, max_new_tokens=3)
    assert said.shape[0] == len(SAMPLES) and said.shape[1] > prompts["input_ids"].shape[1]
    trainer.model.unload()


def test_the_fast_teacher_is_the_naive_one_or_says_why_it_is_not_fast(family, caplog):
    name, model, encoder = family
    images = [["grey", "square"], ["square", "wide"], ["wide", "grey"]]
    teachers = teacher_probabilities(model, encoder, SAMPLES, images, 3)
    for sample, seen, teacher in zip(SAMPLES, images, teachers, strict=True):
        torch.testing.assert_close(teacher, naive_teacher(model, encoder, sample, seen), atol=1e-5, rtol=1e-5)
    why = {"qwen2_vl": "rows and columns", "qwen2_5_vl": "rows and columns", "paligemma": "looks ahead"}
    assert why.get(name, "") in caplog.text
    assert bool(caplog.records) == (name in why)


def test_kept_features_give_the_logits_of_the_pictures(family):
    _, model, encoder = family
    keeping = reuse_features(model, encoder, SAMPLES)
    assert isinstance(keeping, FeatureEncoder)
    with torch.no_grad():
        reused, plain = (answer_logits(model, e.batch(SAMPLES)) for e in (keeping, encoder))
    torch.testing.assert_close(reused, plain, atol=1e-5, rtol=1e-5)


def test_sharded_it_answers_and_learns_the_same(family, params, tmp_path):
    _, model, encoder = family
    settings = params.unlearn.model_copy(update={"epochs": 1, "batch_size": 4, "retain_batch_size": 2})
    weights = []
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        for one in (copy.deepcopy(model), load_in_turn(lambda: copy.deepcopy(model), torch.device("cpu"))):
            with torch.no_grad():
                logits = answer_logits(one, encoder.batch(SAMPLES))
            teachers = teacher_probabilities(one, encoder, SAMPLES, [["grey", "square"]] * 3, 2)
            torch.manual_seed(0)
            trainer = make_trainer(settings, 1, one, encoder, SAMPLES, SAMPLES[1:], teachers)
            trainer.train()
            adapter = [p.detach() for p in trainer.model.parameters() if p.requires_grad]
            weights.append([logits, *teachers, *adapter])
            shared = sum(isinstance(p, DTensor) for p in trainer.model.parameters())
        assert shared >= 2 * 9  # two layers: seven matrices and two norms each
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(weights[1], weights[0], atol=0, rtol=0)
