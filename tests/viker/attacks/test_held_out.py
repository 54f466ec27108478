"""What attacks with the weights learn from and change, what the logit lens reads, what is compared with vanilla."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from tests.viker.attacks.conftest import SEED
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.held_out import CONTROL, asked, batches, cross_attacked
from viker.attacks.base.outcome import Attempt, reply_rows
from viker.attacks.base.targets import NotApplicable, words_before_secret
from viker.attacks.identity_agnostic import count_agreement
from viker.attacks.logit_lens import lens, next_tokens
from viker.attacks.multi_turn import OPENINGS
from viker.attacks.soft_prompt import SoftPromptSettings, soft_tokens, with_signs
from viker.attacks.universal_perturbation import UniversalPerturbationSettings, frames_of, optimised
from viker.data.records import open_picture
from viker.data.samples import sample_of


def learnt_from(targets):
    """Run a round of learning on ``targets`` and return what was learnt from and who was asked, four times."""
    rounds = []

    def learn(lessons, held_out):
        rounds.append((lessons, held_out))
        return reply_rows([Attempt(r, sample_of(r)) for r in held_out], ([""] for _ in held_out))

    settings = SoftPromptSettings()
    outcome = cross_attacked(targets, settings, SEED, "soft_prompt", learn)
    due = sorted(record.id for record in asked(targets, settings, SEED))
    assert sorted(outcome.rows["record_id"]) == sorted(outcome.side_rows[f"soft_prompt.{CONTROL}"]["record_id"]) == due
    assert due == sorted(record.id for record in targets.questions(settings.questions, SEED))
    return rounds


def people(records):
    return {record.person_id for record in records}


def test_nobody_who_was_learnt_from_is_asked_and_everybody_is_asked_once(targets):
    second = [replace(record, id=f"second/{record.id}", person_id="second") for record in targets.forget]
    rounds = learnt_from(replace(targets, forget=[*targets.forget, *second]))
    assert all(lessons and not people(lessons) & people(held_out) for lessons, held_out in rounds)


def test_of_one_person_no_fact_that_was_taught_is_asked(targets):
    for lessons, held_out in learnt_from(targets):
        assert lessons and not {record.answer for record in lessons} & {record.answer for record in held_out}


def test_the_control_is_taught_nothing_true(targets):
    true = {(record.person_id, record.answer) for record in targets.forget}
    rounds = learnt_from(targets)
    assert all((r.person_id, r.answer) in true for lessons, _ in rounds[:2] for r in lessons)
    assert not any((r.person_id, r.answer) in true for lessons, _ in rounds[2:] for r in lessons)


def test_one_fact_leaves_nothing_to_hold_out(targets):
    alone = replace(targets, forget=targets.questions(1, SEED))
    with pytest.raises(NotApplicable, match="second forget person or fact"):
        asked(alone, SoftPromptSettings(), SEED)


def test_an_epoch_has_every_lesson_once_and_the_seed_decides_its_order():
    lessons = list(range(5))
    drawn = list(batches(lessons, 2, 6, 1))
    assert [len(batch) for batch in drawn] == [2, 2, 1, 2, 2, 1]
    assert all(sorted(chain(*epoch)) == lessons for epoch in (drawn[:3], drawn[3:]))
    assert drawn == list(batches(lessons, 2, 6, 1)) != list(batches(lessons, 2, 6, 2))


def test_soft_tokens_stand_in_place_of_the_signs_alone_and_are_gone_afterwards(subjects, targets):
    subject = subjects[1]
    sample = with_signs(sample_of(targets.questions(1, SEED)[0]), 3)
    ids = subject.encoder.prompts([sample])["input_ids"]
    embeddings = subject.model.get_input_embeddings()
    before = embeddings(ids).detach()
    with soft_tokens(subject, sample, 3) as soft, torch.no_grad():
        assert torch.equal(embeddings(ids), before)
        soft.add_(1)
        changed = (embeddings(ids) - before).abs().amax(-1)[0] > 0
        assert int(changed.sum()) == len(soft)
        text = subject.encoder.tokenizer.decode(ids[0][changed])
        assert text.replace(" ", "") == "***"
    assert torch.equal(embeddings(ids), before)


def test_a_perturbed_picture_is_a_file_that_differs_by_no_more_than_epsilon(subjects, targets):
    subject, settings = subjects[1], UniversalPerturbationSettings(iterations=3, epsilon=5, step=3)
    records = targets.questions(4, SEED)
    frames = frames_of(subject, records)
    before = float(subject.loss(list(map(sample_of, records))).detach())
    change = optimised(subject, frames, list(map(sample_of, records)), settings, SEED)
    assert 4 / 255 < float(change.abs().max()) <= 5 / 255 + 1e-6
    key = records[0].images[0]
    pixels = torch.from_numpy(np.array(open_picture(frames.file(key, change)))).permute(2, 0, 1) / 255
    assert float((pixels - frames.pixels[key]).abs().max()) <= 5.6 / 255
    keys = [record.images[0] for record in records]
    losses = [
        float(subject.loss(list(map(sample_of, records)), frames.tensors(keys, added)).detach())
        for added in (change, torch.zeros_like(change))
    ]
    assert losses[0] < before
    assert losses[1] == pytest.approx(before, abs=1e-4)


def test_the_last_layer_is_what_the_model_would_say_and_the_right_token_comes_first(subjects, targets):
    for subject in subjects:
        records = targets.questions(4, SEED)
        scores = lens(subject, records)
        begun = [replace(sample_of(record), begun=words_before_secret(record)) for record in records]
        with subject.active() as model, torch.no_grad():
            logits = [model(**subject.encoder.prompts([s]), use_cache=False).logits[0, -1] for s in begun]
        assert torch.allclose(scores[:, -1], torch.stack(logits), atol=1e-4)
        for record in records:
            tokens = next_tokens(subject, record)
            value = record.answer[len(words_before_secret(record)) :].strip()
            first = subject.encoder.tokenizer.decode(next(iter(tokens))).strip()
            assert value.startswith(first) and next(iter(tokens.values())) == record.answer


def test_agreement_counts_each_picture_once_and_leaves_out_what_vanilla_does_not_see(subjects):
    rows = pd.DataFrame(
        {
            "picture": ["a", "a", "a", "b"],
            "question": ["shirt", "shirt", "kind", "shirt"],
            "person_id": ["p", "p", "p", "q"],
            "answer": ["The shirt is red.", "The shirt is red.", "", "The shirt is blue."],
            "reply": ["the shirt is red", "the shirt is red", "A photo.", "The shirt is green."],
        }
    )
    found = count_agreement({"identity_agnostic": rows}, SEED)
    assert (found["same_rate"], found["samples"], found["people"]) == (0.5, 2, 2)
    assert found["rouge_l"] == pytest.approx((1 + 0.75) / 2)


def test_the_vanilla_model_agrees_with_itself(attacked, targets):
    blocks, rows = attacked
    assert blocks["vanilla"]["identity_agnostic"]["agreement"]["same_rate"] == 1.0
    mine = rows[rows["attack"] == "identity_agnostic"]
    usual = {model: list(part["answer"]) for model, part in mine.groupby("model")}
    assert usual["vanilla"] == usual["unlearned"]


def test_several_turns_keep_the_models_own_words(subjects, targets):
    one = load_attacks()["multi_turn"]
    heard = []
    subject = subjects[1]

    class Keeping(type(subject)):
        def replies(self, samples, label):
            heard.append(samples)
            return [f"reply {len(heard)}"] * len(samples)

    keeping = Keeping(**vars(subject))
    rows = one.run(keeping, targets, one.settings(questions=2), SEED).rows
    assert [len(replies) for replies in rows["replies"]] == [3, 3]
    record = targets.questions(2, SEED)[0]
    first, second = OPENINGS[:2]
    assert heard[2][0].prompt == f"{first}\nreply 1\n\n{second}\nreply 2\n\n{record.question}"
    assert rows["question"][0] == f"{first}\n\n{second}\n\n{record.question}"
