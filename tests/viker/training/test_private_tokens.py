"""What is said before training: the floor of the loss, private tokens, and reliance on the pictures."""

import re

import pandas as pd
import pytest
import torch

from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.methods.base.method import method_of
from viker.methods.npo import NPO
from viker.methods.viker import ViKeR, floor, viker_loss
from viker.metrics.base.floors import COLUMNS, kept_values, summarised
from viker.models.logits import answer_logits
from viker.teacher.visual_reliance import described, reliance_on_pictures, visual_reliance
from viker.training.private_tokens import floor_warning, private_token_rows, private_values


def pressure(p_true: float, teacher: float, settings: ViKeR) -> float:
    """The gradient of the loss by the logit of the true token: above 0, descent makes the token less likely."""
    p = torch.tensor([p_true, *[(1 - p_true) / 3] * 3], dtype=torch.float64)
    q = torch.tensor([teacher, *[(1 - teacher) / 3] * 3], dtype=torch.float64)
    logits = p.log().reshape(1, 1, 4).requires_grad_()
    options = (settings.lambda_, settings.use_ga, settings.weighting, settings.mask_threshold)
    viker_loss(logits, torch.zeros(1, 1, dtype=torch.long), q.reshape(1, 1, 4), *options)["loss"].backward()
    return float(logits.grad[0, 0, 0])


@pytest.mark.parametrize("teacher", [0.55, 0.7, 0.888, 0.99])
@pytest.mark.parametrize("settings", [ViKeR(**{"lambda": x}) for x in (1.5, 2, 5)] + [ViKeR(use_ga=False)])
def test_the_loss_presses_a_token_down_to_its_floor_and_no_further(settings, teacher):
    low = floor(teacher, settings)
    assert (low == 0) == (settings.use_ga and settings.lambda_ * teacher <= 1)
    if low == 0:
        assert pressure(0.01, teacher, settings) > 0
    else:
        assert abs(pressure(low, teacher, settings)) < 1e-12
        assert pressure(low + 0.005, teacher, settings) > 0 > pressure(low - 0.005, teacher, settings)


@pytest.mark.parametrize(
    "settings",
    [ViKeR(**{"lambda": 1}), ViKeR(**{"lambda": 0.5}), ViKeR(teacher="none"), ViKeR(weighting="entropy_weight")],
)
def test_up_to_lambda_1_and_without_the_regulariser_there_is_no_floor(settings):
    assert floor(0.999, settings) == 0
    if settings.teachers and settings.weighting == "kl":
        assert pressure(0.001, 0.999, settings) > 0


def test_the_figure_of_the_issue():
    assert floor(0.888, ViKeR(**{"lambda": 2})) == pytest.approx(0.776)


@pytest.fixture(scope="module")
def asked(prepared):
    forget, retain = read_records(prepared, "forget"), read_records(prepared, "retain")
    values = private_values(forget, retain)
    chosen = [r for r in forget if values[r.id] and r.task in ("qa", "generation")]
    samples = [sample_of(r) for r in chosen]
    assert any(s.picture for s in samples) and any(not s.picture for s in samples)
    return samples, values, {r.id: r.person_id for r in forget}


def test_rows_hold_the_true_tokens_probabilities_and_the_divergence(small_model, asked):
    model, encoder = small_model
    samples, values, people = asked
    with torch.no_grad():
        own = [answer_logits(model, encoder.batch([s]))[0].softmax(-1) for s in samples]
    uniform = [torch.full_like(p, 1 / p.shape[-1]) for p in own]
    rows = private_token_rows(model, encoder, samples, uniform, values, people, ViKeR())
    assert list(rows) == COLUMNS and len(rows) >= len(samples)
    for row in rows.itertuples():
        n = next(n for n, s in enumerate(samples) if s.record_id == row.record_id)
        p, true = own[n][row.position], encoder.answer_ids(samples[n])[row.position]
        assert row.vanilla == pytest.approx(float(p[true]), rel=1e-4)
        assert row.teacher == pytest.approx(1 / len(p)) and row.floor == 0
        assert row.kl == pytest.approx(float((p * (p * len(p)).log()).sum()), rel=1e-3, abs=1e-6)
        assert people[row.record_id] == row.person_id
    (same,) = {
        float(x) for x in private_token_rows(model, encoder, samples, own, values, people, ViKeR())["kl"].round(5)
    }
    assert same == 0


def test_what_stays_is_counted_and_said_with_what_to_do(small_model, asked):
    model, encoder = small_model
    samples, values, people = asked
    certain = [torch.nn.functional.one_hot(encoder.answer_ids(s), 400).float() for s in samples]
    rows = private_token_rows(model, encoder, samples, certain, values, people, ViKeR())
    said = floor_warning(rows)
    assert re.match(r"(\d+) of \1 private values can't be forgotten with these settings", said)
    assert "counterfactual" in said and rows["question"].iloc[0] in rows["question"].values
    figures = summarised(rows)
    assert (
        figures["tokens_kept"] == len(rows)
        and figures["values_kept"] == figures["values"]
        and figures["mean_floor"] == pytest.approx(1.0)
    )
    for settings in (ViKeR(**{"lambda": 1.0}), NPO()):
        free = private_token_rows(model, encoder, samples, certain, values, people, settings)
        assert floor_warning(free) is None and summarised(free)["tokens_kept"] == 0
    assert method_of(NPO()).floor is None


def test_a_value_is_kept_only_if_all_its_tokens_are(small_model, asked):
    model, encoder = small_model
    samples, values, people = asked
    certain = [torch.nn.functional.one_hot(encoder.answer_ids(s), 400).float() for s in samples]
    rows = private_token_rows(model, encoder, samples, certain, values, people, ViKeR())
    first = rows.index[0]
    rows.loc[first, "floor"] = 0.0  # its other tokens follow by spelling
    before, after = len(kept_values(rows)), int(kept_values(rows)["kept"].sum())
    assert after == before - 1 and summarised(rows)["tokens_kept"] == len(rows) - 1
    assert summarised(rows)["first_tokens_kept"] == before - 1
    several = rows.groupby(["record_id", "value"]).filter(lambda own: len(own) > 1)
    rows.loc[several.index, "floor"] = 0.9
    rows.loc[several.groupby(["record_id", "value"])["position"].idxmax(), "floor"] = 0.0  # the last, which follows
    assert summarised(rows)["first_tokens_kept"] > summarised(rows)["values_kept"]


def test_the_three_questions_with_most_values_that_stay_are_named() -> None:
    asked = ["Which?", *["Where?"] * 3, *["When?"] * 2, "Who?", "Why?"]
    rows = [(f"r{n}", "p", question, 0, 0, "x", 0.9, 0.9, 0.9, 0.0) for n, question in enumerate(asked)]
    said = floor_warning(pd.DataFrame(rows, columns=COLUMNS))
    assert said is not None and "most are in 'Where?' (3), 'When?' (2), 'Which?' (1). Take" in said


def test_without_private_values_there_is_nothing_to_say(small_model, asked):
    model, encoder = small_model
    samples, _, people = asked
    uniform = [torch.full((encoder.encode(s)[1], 400), 1 / 400) for s in samples]
    rows = private_token_rows(model, encoder, samples, uniform, {}, people, ViKeR())
    assert rows.empty and floor_warning(rows) is None
    assert set(summarised(rows).values()) == {0}
    assert visual_reliance(model, encoder, samples, [["scene-0"]] * len(samples), {}, people) == {}


def test_a_model_that_looks_at_the_picture_relies_on_it_and_one_that_does_not_does_not(small_model, asked, monkeypatch):
    model, encoder = small_model
    samples, values, people = asked
    own = {s.record_id: s.picture for s in samples}

    def answering(only_with_the_own_picture: bool):
        def answers(_model, _encoder, asked_samples, images):
            told = []
            for sample, (picture,) in zip(asked_samples, images, strict=True):
                knows = not only_with_the_own_picture or picture == own[sample.record_id]
                ids = encoder.answer_ids(sample) if knows else torch.zeros(encoder.encode(sample)[1], dtype=torch.long)
                told.append(torch.nn.functional.one_hot(ids, 400).float())
            return told

        return answers

    images = [["scene-0"]] * len(samples)
    for looks, expected in ((True, (1, 0, 0, 0, 1)), (False, (1, 1, 1, 1, 0))):
        monkeypatch.setattr("viker.teacher.visual_reliance.compute_teachers", answering(looks))
        told = visual_reliance(model, encoder, samples, images, values, people)
        if looks and len({s.picture for s in samples if s.picture}) == 1:
            expected = (1, 1, 0, 0, 1)  # one person: there is no other to be shown
        assert tuple(told.values())[:5] == expected and told["people"] == len({*own.values()} - {""})
    assert list(told) == ["own", "another", "irrelevant", "none", "reliance", "values", "people"]
    assert described(told).endswith("visual reliance 0.00")


def test_reliance_is_measured_on_the_questions_to_forget_that_have_a_picture(small_model, prepared):
    model, encoder = small_model
    told = reliance_on_pictures(model, encoder, prepared, "scene-0")
    few = reliance_on_pictures(model, encoder, prepared, "scene-0", 1)
    assert 0 < few["values"] < told["values"] and few["people"] == 1


def test_a_real_pass_gives_shares(small_model, asked):
    model, encoder = small_model
    samples, values, people = asked
    told = visual_reliance(model, encoder, samples, [["scene-0"]] * len(samples), values, people)
    assert all(0 <= told[name] <= 1 for name in ("own", "another", "irrelevant", "none"))
