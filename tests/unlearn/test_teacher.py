"""The teacher against the formula, a sample and an image at a time."""

from dataclasses import replace

import pytest
import torch

from components.common.chat import Sample, answer_logits
from components.unlearn.methods.tokens import entropy
from components.unlearn.teacher import pad_teachers, teacher_probabilities

SAMPLES = [
    Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0"),
    Sample("b", "Which trade?", "Fishing.", "scene-1"),
    Sample("c", "What does this person like to do in the evening?", "Chess", "scene-1"),
]
IMAGES = ["scene-0", "scene-1"]
OWN_IMAGES = [["scene-0", "scene-1"], ["scene-1", "scene-2"], ["scene-2", "scene-0"]]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_teacher_is_the_mean_over_the_samples_own_irrelevant_images(small_model, batch_size):
    model, encoder = small_model
    teachers = teacher_probabilities(model, encoder, SAMPLES, OWN_IMAGES, batch_size)
    with torch.no_grad():
        for sample, images, teacher in zip(SAMPLES, OWN_IMAGES, teachers, strict=True):
            shown = [encoder.batch([replace(sample, picture=image)]) for image in images]
            naive = torch.stack([answer_logits(model, batch)[0].softmax(-1) for batch in shown]).mean(0)
            torch.testing.assert_close(teacher, naive, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(teacher.sum(-1), torch.ones(len(teacher)))


def test_the_persons_own_picture_is_not_looked_at(small_model):
    model, encoder = small_model
    one = teacher_probabilities(model, encoder, SAMPLES[:1], [IMAGES], 1)
    other = teacher_probabilities(model, encoder, [replace(SAMPLES[0], picture="scene-1")], [IMAGES], 1)
    torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_shorter_teachers_are_aligned_on_the_right():
    short, long = torch.full((1, 4), 0.25), torch.full((3, 4), 0.25)
    padded = pad_teachers([short, long], 3)
    assert padded.shape == (2, 3, 4)
    assert padded[0].sum(-1).tolist() == [0.0, 0.0, 1.0]
    assert padded[1].sum(-1).tolist() == [1.0, 1.0, 1.0]


def test_entropy_lies_between_that_of_a_certain_and_of_a_uniform_token():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4])
    torch.testing.assert_close(entropy(rows), torch.tensor([0.0, 1.3862944]))
