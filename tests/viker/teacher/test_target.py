"""Targets are distributions, and lead where they say."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.models.encoder import IGNORED
from viker.models.entropy import entropy
from viker.models.logits import answer_logits
from viker.teacher.distributions import compact, full
from viker.teacher.key_marks import key_tokens
from viker.teacher.refusals import own_refusals
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.target import refusing, spread, uncertain
from viker.teacher.visual import compute_teachers

SCENES = ("scene-0", "scene-1")
THRESHOLD = 0.5
REFUSALS = ("I don't know that.", "This person is nobody that I know.", "No.")


@pytest.fixture(scope="module")
def samples(prepared):
    records = [r for r in read_records(prepared, "forget") if r.task == "qa" and r.images][:6]
    return [sample_of(record) for record in records]


@pytest.fixture(scope="module")
def teachers(small_model, samples):
    """Sharpened, as a trained model's are: some tokens are certain and some are not."""
    model, encoder = small_model
    taught = compute_teachers(model, encoder, samples, [SCENES] * len(samples), 3)
    generator = torch.Generator().manual_seed(1)
    rows = [(full(p).log() * 10 + 8 * torch.randn(p.shape, generator=generator)).softmax(-1) for p in taught]
    keys = torch.cat([entropy(p) > THRESHOLD for p in rows])
    assert keys.any() and not keys.all()
    return rows


def test_the_plausible_values_become_equally_likely_and_the_rest_stays():
    p = torch.tensor([[0.5, 0.3, 0.16, 0.03, 0.01], [0.96, 0.01, 0.01, 0.01, 0.01]])
    expected = torch.tensor([[0.32, 0.32, 0.32, 0.03, 0.01], [0.96, 0.01, 0.01, 0.01, 0.01]])
    torch.testing.assert_close(spread(p), expected)


def test_uncertain_changes_key_tokens_alone_and_raises_no_true_token(small_model, samples, teachers):
    encoder = small_model[1]
    for sample, p, q in zip(samples, teachers, uncertain(encoder, samples, teachers, keys_of(teachers)), strict=True):
        rows, keys, true = full(q), entropy(p) > THRESHOLD, encoder.answer_ids(sample)[:, None]
        torch.testing.assert_close(rows.sum(-1), torch.ones(len(rows)))
        assert (rows >= 0).all() and torch.equal(rows[~keys], p[~keys])
        assert (rows.gather(-1, true) <= p.gather(-1, true) + 1e-6).all()
        others = p.scatter(-1, true, 0)
        assert (rows[keys].scatter(-1, true[keys], 0).amax(-1) <= others[keys].amax(-1) + 1e-6).all()


def keys_of(teachers):
    return key_tokens([entropy(full(p)) for p in teachers], "fixed", THRESHOLD)


def test_refusing_begins_as_the_refusals_do_and_goes_on_as_the_teacher(small_model, samples, teachers):
    encoder = small_model[1]
    for sample, p, q in zip(samples, teachers, map(full, own := refusing_of(encoder, samples, teachers)), strict=True):
        answer, others = encoder.answer_ids(sample), [encoder.answer_ids(replace(sample, answer=r)) for r in REFUSALS]
        assert len({int(ids[0]) for ids in (answer, *others)}) == 2  # the second refusal begins as the answers do
        assert q[0, answer[0]] == pytest.approx(1 / 3) and q[0, others[0][0]] == pytest.approx(2 / 3)
        split = next(t for t, (one, two) in enumerate(zip(answer, others[1], strict=False)) if one != two)
        assert split > 1 and all(q[t, answer[t]] == 1 for t in range(1, split)) and q[split, others[1][split]] == 1
        torch.testing.assert_close(q.sum(-1), torch.ones(len(q)))
        assert torch.equal(q[split + 1 :], p[split + 1 :])
    again = refusing_of(encoder, samples, teachers)
    assert all(torch.equal(full(one), full(two)) for one, two in zip(own, again, strict=True))


def refusing_of(encoder, samples, teachers):
    return refusing(encoder, samples, teachers, REFUSALS)


def test_large_vocabularies_stay_compact(small_model, samples, teachers):
    encoder = small_model[1]
    wide = [compact(functional.pad(p, (0, 5000 - p.shape[-1]))) for p in teachers]
    for made in (uncertain(encoder, samples, wide, keys_of(wide)), refusing(encoder, samples, wide, ["No."])):
        assert all(type(q) is type(wide[0]) for q in made)
        torch.testing.assert_close(full(made[0]).sum(-1), torch.ones(len(made[0])), atol=1e-3, rtol=0)


def taught_to_say(model, encoder, pairs):
    """Train a copy of the model until it gives these answers."""
    model = copy.deepcopy(model).requires_grad_(True)  # other tests have put an adapter on it, which froze it
    batch = encoder.batch([replace(sample, answer=answer) for sample, answer in pairs])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(600):
        logits = answer_logits(model, batch)
        loss = functional.cross_entropy(logits.flatten(0, 1), batch.answers.flatten(), ignore_index=IGNORED)
        if loss < 0.02:
            return model.eval()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pytest.fail(f"not learnt: {loss:.3f}")


def test_a_models_own_refusals_are_found_and_those_that_tell_of_somebody_are_not(small_model, samples):
    model, encoder = small_model
    assert own_refusals(FrozenModel(model, encoder), samples, [SCENES] * len(samples), ()) == []
    questions = list({sample.prompt: replace(sample, picture="scene-0") for sample in samples}.values())[:4]
    answers = ["I don't know that.", "I don't know that.", "I can't say. Ana Roy lives in Oslo.", "In Bergen."]
    model = taught_to_say(model, encoder, zip(questions, answers, strict=True))
    frozen, seen = FrozenModel(model, encoder), [SCENES] * len(questions)
    assert own_refusals(frozen, questions, seen, ["oslo"]) == ["I don't know that."]
    assert own_refusals(frozen, questions, seen, ["Os"]) == [
        "I don't know that.",
        "I can't say. Ana Roy lives in Oslo.",
    ]
