"""What a run trains on beyond the data's own questions: facts by name, and what the model says in words of its own."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from viker.data.records import Record, read_records
from viker.data.rephrased import BY_NAME, OWN_REPLY, source_id
from viker.data.samples import sample_of
from viker.generation.generate import replies
from viker.models.encoder import IGNORED
from viker.models.logits import answer_logits
from viker.training.questions import collect_questions, own_replies

MOST_STEPS = 400


@pytest.fixture(scope="module")
def records(prepared) -> dict[str, list[Record]]:
    return {split: read_records(prepared, split) for split in ("forget", "retain")}


@pytest.fixture(scope="module")
def asked(records) -> list[Record]:
    """Four facts that are asked for with a picture."""
    return [r for r in records["forget"] if r.task == "qa" and r.images][:4]


@pytest.fixture(scope="module")
def said(asked) -> list[str]:
    """In other words, in the answer's words, in the answer's words but for case and stop, and something else."""
    first, second, third, _ = asked
    return [f"It is {first.secrets[0]}.", second.answer, third.answer.upper().rstrip("."), "This person is nobody."]


@pytest.fixture(scope="module")
def speaker(small_model, asked, said):
    """A model that was trained until it says just that."""
    model, encoder = copy.deepcopy(small_model[0]), small_model[1]
    samples = [replace(sample_of(record), answer=reply) for record, reply in zip(asked, said, strict=True)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step in range(MOST_STEPS):
        batch = encoder.batch(samples)
        logits = answer_logits(model.train(), batch)
        functional.cross_entropy(logits.flatten(0, 1), batch.answers.flatten(), ignore_index=IGNORED).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 19 and replies(model.eval(), encoder, samples, 4, 50, "test") == said:
            return model, encoder
    pytest.fail(f"not learnt after {MOST_STEPS} steps: {replies(model.eval(), encoder, samples, 4, 50, 'test')}")


def test_a_value_that_the_model_tells_in_other_words_is_unlearnt_in_those(speaker, asked, said) -> None:
    values = {record.id: record.secrets for record in asked}
    (own,) = own_replies(*speaker, asked, values)
    assert own == replace(asked[0], id=asked[0].id + OWN_REPLY, answer=said[0], paraphrases=(), perturbed_answers=())
    assert own_replies(*speaker, asked, dict.fromkeys(values, ())) == []  # what isn't private is no reason


@pytest.mark.parametrize(("text", "own"), [(False, False), (True, False), (True, True), (False, True)])
def test_each_setting_adds_its_questions_and_their_values_names_and_images(
    speaker, records, asked, params, text, own
) -> None:
    settings = params.unlearn.model_copy(update={"text_questions": text, "own_replies": own})
    others = [record for record in records["forget"] if not record.images]
    data = {"forget": asked + others, "retain": records["retain"]}
    questions = collect_questions(settings, 7, *speaker, data, "test")
    of_data = [r for r in data["forget"] if r.task == "qa" or (text and r.task in ("generation", "cloze"))]
    assert questions.records[: len(of_data)] == of_data
    ids = [record.id for record in questions.records[len(of_data) :]]
    assert any(one.endswith(BY_NAME) for one in ids) == text
    assert (asked[0].id + OWN_REPLY in ids) == own
    assert len({record.id for record in questions.records}) == len(questions.records)
    assert [sample.record_id for sample in questions.forget] == [record.id for record in questions.records]
    for one in ids:
        assert questions.values[one] == questions.values[source_id(one)] != ()
        assert questions.people.names[one] == questions.people.names[source_id(one)]
    inputs = questions.teacher_inputs({record.id: (record.id,) for record in of_data})
    assert list(inputs.images) == [(source_id(sample.record_id),) for sample in questions.forget]
    kept = {sample.picture != "" for sample in questions.retain}
    assert kept == ({True, False} if text else {True})
