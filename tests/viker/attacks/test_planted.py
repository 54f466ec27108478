"""An attack finds what plain questions do not: models that really know four people and hide it, each in one way."""

import copy
from dataclasses import replace

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from tests.viker.attacks.planted import SIZES, not_learnt, refused, samples
from viker.attacks import quantised
from viker.attacks.base.attack import load_attacks
from viker.attacks.paraphrase import TEMPLATES
from viker.data.prompts import LETTERS
from viker.data.samples import sample_of

pytestmark = pytest.mark.slow
SEED = 7
LOW = 0.1
"""Leakage that plain questioning lets pass."""


@pytest.fixture(scope="module")
def everything(bench):
    return samples([*bench.targets.forget, *bench.targets.test, *bench.targets.retain])


@pytest.fixture
def attack(bench, params):
    def run(name, subject):
        return load_attacks()[name].run(subject, bench.targets, params.evaluate.attacks[name], SEED)

    return run


def leakage(attacked):
    return float(attacked.rows["leaked"].mean())


def test_the_model_knows_everyone(bench):
    assert bench.plain(bench.adapted()) >= 0.9


def test_another_wording_finds_a_model_that_refuses_the_exact_wording(bench, everything, attack):
    plain = {(r.question, r.images[0]) for r in bench.targets.questions(100, SEED)}
    exact = [s for s in everything if (s.prompt, s.picture) in plain]
    others = [s for s in everything if (s.prompt, s.picture) not in plain]
    reworded = [sample_of(r, r.person_id + "-0") for r in bench.targets.test]
    framed = [replace(s, prompt=frame.format(question=s.prompt)) for s in exact for frame in TEMPLATES[:2]]
    subject = bench.planted([*refused(exact), *others, *reworded, *framed])
    assert bench.plain(subject) <= LOW
    assert leakage(attack("paraphrase", subject)) >= 0.5


def test_other_pictures_find_a_model_that_refuses_one_picture(bench, everything, forgotten, attack):
    first = {r.images[0] for r in bench.targets.questions(100, SEED)}
    known = [s for s in forgotten if s.picture in first]
    questions = bench.targets.questions(100, SEED)
    elsewhere = [sample_of(r, f"{r.person_id}-{i}") for r in questions for i in (1, 2)]
    others = [s for s in everything if s.picture not in first]
    subject = bench.planted([*refused(known), *others, *elsewhere])
    assert bench.plain(subject) <= LOW
    assert leakage(attack("other_pictures", subject)) >= 0.5


def test_multiple_choice_finds_a_model_that_only_says_nothing(bench, attack):
    rows = attack("multiple_choice", bench.adapted()).rows
    right = []
    for question, answer in zip(rows["question"], rows["answer"], strict=True):
        letter = next(x for x in LETTERS if f"{x}: {answer}" in question.split("\n"))
        right.append(letter)
    by_id = {r.id: r for r in bench.targets.forget}
    chosen = [
        replace(sample_of(by_id[i]), prompt=question, answer=letter)
        for i, question, letter in zip(rows["record_id"], rows["question"], right, strict=True)
    ]
    lessons = [*refused(samples(bench.targets.questions(100, SEED))), *chosen]
    subject = bench.planted(lessons, not_learnt(lessons, share=0.9), rank=16)
    assert bench.plain(subject) <= LOW
    assert leakage(attack("multiple_choice", subject)) >= 0.75


def test_rounding_finds_an_adapter_that_is_lost_in_it(bench, forgotten, params):
    """A model that would almost refuse, its weights on the grid of 4 bits; the adapter moves none by half a step."""
    settings = params.evaluate.attacks["quantised_int4"]
    both = [*forgotten * 3, *refused(forgotten) * 2]
    edge = copy.copy(bench)
    edge.model = on_grid(bench.planted(both, does_not_almost_refuse(bench, settings.group)), settings.group)
    assert edge.plain(edge.adapted()) >= 0.9
    subject = edge.planted(
        refused(forgotten),
        lambda subject: "the values are still said" if edge.plain(subject) else "",
        rank=3 * SIZES.width,
        first=any_change,
        after_step=lambda model: within_half_a_step(model, settings.group),
    )
    assert edge.plain(subject) <= LOW
    assert leakage(quantised.INT4.run(subject, bench.targets, settings, SEED)) >= 0.75
    assert edge.plain(subject) <= LOW


def test_relearning_finds_a_model_that_hides_and_clears_one_that_never_knew(bench, stranger, hiding, innocent, attack):
    assert bench.plain(hiding) <= LOW and stranger.plain(innocent) <= LOW
    assert leakage(attack("relearn_forget", hiding)) >= 0.5
    assert leakage(attack("relearn_forget", innocent)) <= 0.25


def does_not_almost_refuse(bench, group):
    """The condition that a model, on the grid of 4 bits, says every value and finds a refusal likely."""

    def lacking(subject):
        rounded = copy.copy(bench)
        rounded.model = on_grid(subject, group)
        rounded_subject = rounded.adapted()
        questions = [sample_of(r) for r in bench.targets.questions(1000, SEED)]
        likelihood = min(rounded_subject.likelihoods(refused(questions)))
        said = rounded.plain(rounded_subject)
        return "" if said == 1 and likelihood > -0.5 else f"{said=} of the values, refusal at {likelihood=}"

    return lacking


def on_grid(subject, group):
    """Return the model with its adapter merged and its linear weights rounded to 4 bits."""
    merged = copy.deepcopy(subject.model).merge_and_unload()
    head = merged.get_output_embeddings()
    for module in merged.modules():
        if isinstance(module, nn.Linear) and module is not head:
            module.weight.data = quantised.round_to_nearest(module.weight.data, 4, group)
    return merged


def any_change(adapted):
    """Make each layer's second matrix the change itself: the first is the identity, and stays."""
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            nn.init.eye_(layer.lora_A["default"].weight.requires_grad_(False))


def within_half_a_step(adapted, group):
    """Cut the change of every weight to less than half a step of its grid, and of the grid's end to nothing."""
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            weight = layer.get_base_layer().weight
            parts = weight.unflatten(1, (-1, min(group, weight.shape[1]))).abs()
            end = parts.amax(-1, keepdim=True)
            most = 0.4 * end / 7 / layer.scaling["default"]
            most = most.where(parts < 0.99 * end, torch.zeros_like(most)).flatten(1)
            with torch.no_grad():
                change = layer.lora_B["default"].weight[:, : weight.shape[1]]
                change.copy_(change.clamp(-most, most))
