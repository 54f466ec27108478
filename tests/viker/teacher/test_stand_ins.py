"""Teachers with somebody else in the person's place, against their formulas."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from viker.data.names import about
from viker.data.records import read_records
from viker.data.samples import Sample, sample_of
from viker.methods.viker import ViKeR
from viker.models.logits import answer_logits
from viker.teacher.distributions import full
from viker.teacher.kinds.masked import capped
from viker.teacher.people import People
from viker.teacher.private_places import places_of_values
from viker.teacher.stand_ins import FrozenModel, StandIn, teach_by_stand_ins
from viker.teacher.teacher import TeacherInputs, teach, teachers
from viker.teacher.visual import teacher_probabilities

IMAGES = ["scene-0", "scene-1"]


@pytest.fixture(scope="module")
def told(prepared) -> tuple[list[Sample], People]:
    records = {split: read_records(prepared, split) for split in ("forget", "retain")}
    asked = [r for r in records["forget"] if r.task == "generation" and r.modality == "text"]
    return [sample_of(r) for r in asked], People.among(records["forget"], records["retain"], 7)


def probabilities(model, encoder, sample: Sample) -> torch.Tensor:
    with torch.no_grad():
        return answer_logits(model, encoder.batch([sample]))[0].softmax(-1)


def test_the_teacher_is_the_mean_over_the_names_and_sees_no_picture(small_model, told):
    model, encoder = small_model
    samples, nobody = told
    assert len(nobody.others) == 5 and not nobody.nameless(samples)
    teachers = teach_by_stand_ins(
        FrozenModel(model, encoder, 2), samples, list(map(nobody.nobody, samples)), nobody.names
    )
    for sample, teacher in zip(samples, teachers, strict=True):
        name, ids = nobody.names[sample.record_id], encoder.encode(sample)[0][-len(teacher) :]
        renamed = [
            replace(sample, prompt=about(sample.prompt, name, other), answer=about(sample.answer, name, other))
            for other in nobody.others
        ]
        own, others = probabilities(model, encoder, sample), [probabilities(model, encoder, new) for new in renamed]
        pieces = [encoder.tokenizer.decode([i]) for i in ids]
        ends = [len("".join(pieces[: n + 1])) for n in range(len(pieces))]
        start = "".join(pieces).index(name)
        named = [n for n, end in enumerate(ends) if end > start and end - len(pieces[n]) < start + len(name)]
        before, after = named[0], len(ids) - named[-1] - 1
        assert after > 2
        mean = torch.stack([torch.cat([p[:before], p[-after:]]) for p in others]).mean(0)
        unnamed = [n for n in range(len(ids)) if n not in named]
        torch.testing.assert_close(teacher[unnamed], mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(teacher[named], own[named], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(teacher.sum(-1), torch.ones(len(teacher)))


def test_whose_name_is_not_known_is_asked_about_as_the_student_is(small_model, told):
    model, encoder = small_model
    samples, nobody = told
    unknown = replace(nobody, names={})
    assert unknown.nameless(samples) == [sample.record_id for sample in samples]
    taught = taught_by(small_model, unknown, samples, "irrelevant")
    for sample, teacher in zip(samples, taught, strict=True):
        torch.testing.assert_close(teacher, probabilities(model, encoder, sample), atol=1e-5, rtol=1e-5)


def taught_by(small_model, people: People, samples: Sequence[Sample], *names: str) -> list[torch.Tensor]:
    inputs = TeacherInputs(samples, [IMAGES] * len(samples), [values_in(s) for s in samples], people)
    return list(map(full, teach(FrozenModel(*small_model), inputs, {name: 1 / len(names) for name in names})))


def values_in(sample: Sample) -> tuple[str, ...]:
    return (sample.answer.rstrip(".").split()[-1],)


@pytest.fixture(scope="module")
def named(prepared, told) -> list[Sample]:
    """Two questions about pictures, two without, and one about a picture that names the person."""
    samples, people = told
    shown = [sample_of(r) for r in read_records(prepared, "forget") if r.task == "qa"]
    pictured = replace(samples[0], picture=shown[0].picture)
    assert people.names[pictured.record_id] in pictured.prompt
    return [shown[0], samples[0], pictured, shown[1], samples[1]]


def test_samples_with_a_picture_are_shown_irrelevant_images_whatever_else_is_asked(small_model, told, named):
    taught = taught_by(small_model, told[1], named, "irrelevant")
    shown = [sample for sample in named if sample.picture]
    expected = iter(teacher_probabilities(*small_model, shown, [IMAGES] * len(shown), 8))
    for sample, teacher in zip(named, taught, strict=True):
        if sample.picture:
            torch.testing.assert_close(teacher, next(expected), atol=1e-6, rtol=1e-5)


def test_counterfactual_changes_picture_and_name_together(small_model, told, named):
    model, encoder = small_model
    people = told[1]
    sample = named[2]
    name = people.names[sample.record_id]
    (teacher,) = taught_by(small_model, people, [sample], "counterfactual")
    asked = [
        replace(sample, prompt=about(sample.prompt, name, n), answer=about(sample.answer, name, n), picture=image)
        for image, n in zip(IMAGES, people.others, strict=False)
    ]
    mean = torch.stack([probabilities(model, encoder, one)[-2:] for one in asked]).mean(0)
    torch.testing.assert_close(teacher[-2:], mean, atol=1e-5, rtol=1e-5)
    (irrelevant,) = taught_by(small_model, people, [sample], "irrelevant")
    assert (teacher[-2:] - irrelevant[-2:]).abs().max() > 1e-5  # the name does matter


def test_population_shows_retained_people_who_are_asked_the_same(small_model, told, named, prepared):
    people = told[1]
    retained = {r.images[0] for r in read_records(prepared, "retain") if r.images}
    names = {people.names[r.id] for r in read_records(prepared, "retain") if r.id in people.names}
    for sample in named:
        stand_ins = people.population(sample)
        assert 1 <= len(stand_ins) <= 5 and stand_ins == people.population(sample)
        assert all((one.picture in retained) == bool(sample.picture) for one in stand_ins)
        assert all(one.name in names for one in stand_ins)
    sample = named[0]  # names nobody: another picture is all that changes
    expected = teacher_probabilities(*small_model, [sample], [[one.picture for one in people.population(sample)]], 8)
    (teacher,) = taught_by(small_model, people, [sample], "population")
    torch.testing.assert_close(teacher, expected[0], atol=1e-5, rtol=1e-5)


def test_nobody_stands_in_where_no_retained_person_can(told):
    people = replace(told[1], retained={})
    assert people.population(told[0][0]) == people.nobody(told[0][0])


def test_masked_never_tells_a_private_value_more_than_the_population(small_model, told, named):
    encoder = small_model[1]
    by = {name: taught_by(small_model, told[1], named, name) for name in ("irrelevant", "population", "masked")}
    for n, sample in enumerate(named):
        places, ids = places_of_values(encoder, sample, values_in(sample)), encoder.answer_ids(sample)
        assert places and len(places) < len(ids)
        others = [t for t in range(len(ids)) if t not in places]
        assert torch.equal(by["masked"][n][others], by["irrelevant"][n][others])
        p, q, cap = (
            by[name][n][places].gather(-1, ids[places][:, None]) for name in ("irrelevant", "masked", "population")
        )
        torch.testing.assert_close(q, torch.minimum(p, cap))


def test_capped_is_a_distribution_also_where_the_teacher_is_certain():
    p = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.1, 0.6, 0.3]])
    cap = torch.tensor([[0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.8, 0.1, 0.1]])
    expected = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    torch.testing.assert_close(capped(p, cap, torch.tensor([0, 0, 0])), expected)


@pytest.mark.parametrize("name", sorted(teachers()))
def test_every_teacher_is_a_distribution_and_repeatable(small_model, told, named, name):
    first, second = (taught_by(small_model, told[1], named, name) for _ in range(2))
    for sample, p, again in zip(named, first, second, strict=True):
        assert len(p) == small_model[1].encode(sample)[1] and torch.equal(p, again)
        assert (p >= 0).all()
        torch.testing.assert_close(p.sum(-1), torch.ones(len(p)))


def test_a_mixture_is_the_weighted_mean(small_model, told, named):
    mixed = taught_by(small_model, told[1], named, "irrelevant", "population")
    parts = [taught_by(small_model, told[1], named, name) for name in ("irrelevant", "population")]
    for p, a, b in zip(mixed, *parts, strict=True):
        torch.testing.assert_close(p, (a + b) / 2)
    assert ViKeR(teacher={"irrelevant": 3, "population": 1}).teachers == {"irrelevant": 0.75, "population": 0.25}


def test_a_stand_in_without_a_name_changes_the_picture_alone(small_model, named):
    by_hand = teacher_probabilities(*small_model, named[:1], [IMAGES], 8)
    taught = teach_by_stand_ins(FrozenModel(*small_model), named[:1], [list(map(StandIn, IMAGES))], {})
    assert torch.equal(taught[0], by_hand[0])


def test_places_of_values_ignore_case_and_line_breaks(small_model):
    encoder = small_model[1]
    sample = Sample("a", "Where?", "She lives in new\n york.", "")
    places = places_of_values(encoder, sample, ("New York",))
    said = "".join(encoder.tokenizer.convert_ids_to_tokens([encoder.answer_ids(sample)[n] for n in places]))
    assert places and "york" in said and "lives" not in said
    assert places_of_values(encoder, sample, ("", "Oslo")) == []
