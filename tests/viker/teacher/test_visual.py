"""The fast teacher against its formula, a sample and an image at a time."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from benchmarks.unlearn.naive import full_forwards, naive_teacher
from tests.viker.models.short_memory import short_of_memory
from viker.core.errors import UserError
from viker.data.samples import Sample
from viker.finetuning.small_llava import CHAT_TEMPLATE
from viker.models.encoder import Encoder
from viker.models.entropy import entropy
from viker.models.fast_path import fallbacks, start_run
from viker.models.shared_prefix import TREE
from viker.teacher import visual as module
from viker.teacher.visual import teacher_probabilities

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", "scene-1"),
    Sample("c", "Where was this person born?", "This person was born in Rome.", ""),
    Sample("d", "What does this person like to do in the evening?", "Chess", "scene-1"),
]
IMAGES = ["scene-0", "scene-1"]
OWN_IMAGES = [["scene-0", "scene-1"], ["scene-1", "scene-2"], ["scene-2", "scene-0"], ["scene-2", "scene-1"]]


def assert_naive(model, encoder, samples, images, teachers):
    for sample, names, teacher in zip(samples, images, teachers, strict=True):
        for naive in (naive_teacher, full_forwards):
            torch.testing.assert_close(teacher, naive(model, encoder, sample, names), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(teacher.sum(-1), torch.ones(len(teacher)))


@pytest.fixture
def counted(small_model):
    """The small model and how many pictures its vision tower and tokens its language model have read."""
    model, _ = small_model
    seen = Counter()
    tower, language = model.model.vision_tower, model.model.language_model
    hooks = [
        tower.register_forward_pre_hook(lambda _, args: seen.update(pictures=len(args[0]))),
        language.register_forward_pre_hook(
            lambda _, args, inputs: seen.update(tokens=inputs["inputs_embeds"].shape[:2].numel()), with_kwargs=True
        ),
    ]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_the_teacher_is_the_mean_over_the_samples_own_irrelevant_images(small_model, batch_size, caplog):
    model, encoder = small_model
    teachers = teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, batch_size)
    assert_naive(model, encoder, SAMPLES, OWN_IMAGES, teachers)
    assert not caplog.records


@pytest.mark.parametrize("images", [["scene-0"], ["", "scene-0"], [""]])
def test_one_sample_one_image_and_no_image_are_nothing_special(small_model, images, caplog):
    model, encoder = small_model
    teachers = teacher_probabilities(model, encoder, SAMPLES[:1], [images], 8)
    assert_naive(model, encoder, SAMPLES[:1], [images], teachers)
    assert not caplog.records


def test_sums_that_do_not_fit_the_memory_bound_are_made_in_turn(small_model, monkeypatch):
    model, encoder = small_model
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    teachers = teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, 4)
    assert_naive(model, encoder, SAMPLES, OWN_IMAGES, teachers)


def test_each_image_is_read_once_and_like_beginnings_of_questions_once(small_model, counted):
    model, encoder = small_model
    again = [replace(SAMPLES[0], record_id=str(i), answer=f"{i}") for i in range(10)]
    teacher_probabilities(model, encoder, again, [IMAGES] * 10, 10)
    ids, count = encoder.ids(again[0].prompt, again[0].answer, True)
    assert counted["pictures"] == 2 + 1  # the plain way for one sample, to compare with
    assert counted["tokens"] < 3 * len(ids) + 2 * 10 * count


def test_the_same_inputs_give_the_same_bytes(small_model):
    model, encoder = small_model
    one, other = (teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, 3) for _ in range(2))
    torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_the_persons_own_picture_is_not_looked_at(small_model):
    model, encoder = small_model
    one = teacher_probabilities(model, encoder, SAMPLES[:1], [IMAGES], 1)
    other = teacher_probabilities(model, encoder, [replace(SAMPLES[0], picture="scene-1")], [IMAGES], 1)
    torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_a_model_that_looks_ahead_gets_the_plain_way_and_a_log_line(small_model, caplog, monkeypatch):
    model, encoder = small_model
    monkeypatch.setattr(model.config.text_config, "is_causal", False, raising=False)
    teachers = teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, 2)
    assert_naive(model, encoder, SAMPLES, OWN_IMAGES, teachers)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "logits differ" in caplog.text


def test_a_picture_after_the_question_gets_the_plain_way_and_a_log_line(small_model, caplog, monkeypatch):
    model, encoder = small_model
    monkeypatch.setattr(encoder.processor, "chat_template", CHAT_TEMPLATE.replace("['content']", "['content']|reverse"))
    encoder = Encoder(encoder.processor, encoder.pictures, encoder.device)
    teachers = teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, 2)
    assert_naive(model, encoder, SAMPLES, OWN_IMAGES, teachers)
    assert "the text before the picture differs" in caplog.text


@pytest.mark.parametrize("way", ["shared", "plain"])
def test_a_teacher_that_runs_out_of_memory_is_the_same_by_smaller_passes(small_model, way, monkeypatch):
    model, encoder = small_model
    if way == "plain":
        monkeypatch.setattr(type(TREE), "take", lambda self, model, fast, plain: plain())
    images = [IMAGES] * len(SAMPLES)
    with short_of_memory(model, float("inf")) as passes:
        expected = teacher_probabilities(model, encoder, SAMPLES, images, 4)
    start_run()
    with short_of_memory(model, max(passes) - 1):
        assert_naive(model, encoder, SAMPLES, images, teacher_probabilities(model, encoder, SAMPLES, images, 4))
        (halved,) = fallbacks()
        torch.testing.assert_close(teacher_probabilities(model, encoder, SAMPLES, images, 4), expected)
    assert [halved] == fallbacks() and halved["what"] == "full batch of the teacher"
    with short_of_memory(model, 1), pytest.raises(UserError, match="a single sample doesn't fit"):
        teacher_probabilities(model, encoder, SAMPLES, images, 4)


def test_on_a_gpu_the_teacher_begins_with_what_its_free_memory_holds(small_model, monkeypatch):
    model, encoder = small_model
    images = [IMAGES] * len(SAMPLES)
    assert module.begin_with(model, encoder, SAMPLES, images) == module.TEACHER_BATCH
    monkeypatch.setattr(module, "free_bytes", lambda device: 2**40)
    assert module.begin_with(model, encoder, SAMPLES, images) == 32
    monkeypatch.setattr(module, "free_bytes", lambda device: 2**10)
    assert module.begin_with(model, encoder, SAMPLES, images) == 1
    assert_naive(model, encoder, SAMPLES, images, teacher_probabilities(model, encoder, SAMPLES, images))


def test_entropy_lies_between_that_of_a_certain_and_of_a_uniform_token():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4])
    torch.testing.assert_close(entropy(rows), torch.tensor([0.0, 1.3862944]))
