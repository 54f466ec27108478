"""From samples to tensors."""

import pytest
import torch

from viker.data.samples import Sample
from viker.models.encoder import IGNORED
from viker.models.logits import answer_logits

LONG = Sample("a", "Where was this person born?", "This person was born in Oslo.", "scene-0")
SHORT = Sample("b", "Which?", "A", "")


@pytest.mark.parametrize("pair", [(LONG, SHORT), (SHORT, LONG), (LONG, LONG)])
def test_padding_and_company_do_not_change_a_samples_logits(small_model, pair):
    model, encoder = small_model
    with torch.no_grad():
        batch = encoder.batch(pair)
        together = answer_logits(model, batch)
        for row, sample in enumerate(pair):
            alone = answer_logits(model, encoder.batch([sample]))[0]
            torch.testing.assert_close(together[row][batch.mask[row]], alone, atol=1e-5, rtol=1e-4)


def test_answers_hold_the_answers_tokens_and_the_end_only(small_model):
    _, encoder = small_model
    batch = encoder.batch([LONG, SHORT])
    for row, sample in enumerate((LONG, SHORT)):
        answer = batch.answers[row][batch.mask[row]]
        assert encoder.tokenizer.decode(answer[:-1]).strip() == sample.answer
        assert answer[-1] == encoder.tokenizer.eos_token_id
    assert (batch.answers[1][~batch.mask[1]] == IGNORED).all()


def test_logits_are_those_of_the_whole_sequence(small_model):
    model, encoder = small_model
    batch = encoder.batch([LONG])
    with torch.no_grad():
        whole = model(**batch.inputs).logits[0]
        torch.testing.assert_close(answer_logits(model, batch)[0], whole[-batch.answers.shape[1] - 1 : -1])


def test_a_prompt_for_generation_is_the_batch_without_its_answer(small_model):
    _, encoder = small_model
    ids, count = encoder.ids(LONG.prompt, LONG.answer, with_picture=True)
    assert encoder.prompts([LONG])["input_ids"][0].tolist() == ids[:-count]
    assert encoder.tokenizer.decode(ids[:-count]).endswith("ASSISTANT:")


def test_each_picture_gets_its_own_image_tokens(small_model):
    model, encoder = small_model
    ids = encoder.batch([LONG, SHORT]).inputs["input_ids"]
    patches = (16 // 8) ** 2
    assert (ids == model.config.image_token_id).sum(1).tolist() == [patches, 0]
