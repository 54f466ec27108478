"""What teaches a question without a picture: names found in records, names of nobody, and the distributions."""

from dataclasses import replace

import pytest
import torch

from viker.data.records import Record, read_records
from viker.data.samples import Sample, sample_of
from viker.models.logits import answer_logits
from viker.teacher.nobody import INVENTED, Nobody, about, names_in_text, names_of_nobody, teach, teach_without_picture
from viker.teacher.visual import teacher_probabilities


def record(person: str, number: int, question: str, answer: str, task: str = "qa", images: tuple[str, ...] = ()):
    return Record(f"{person}/{task}/{number}", person, task, "text", question, answer, images=images)


RECORDS = [
    record("1", 0, "Where was Ana Roy born?", "Ana Roy was born in Oslo."),
    record("1", 1, "Does Ana Roy like Oslo?", "Ana Roy does."),
    record("1", 2, "What is Ana Roy's trade?", "She is a printer."),
    record("2", 0, "Where was Bo van Dam born?", "Bo van Dam was born in Rome."),
    record("2", 1, "Who employs Bo van Dam?", "The city does."),
    record("3", 0, "Where is it?", "In Rome."),
    record("4", 0, "Which of these did the author write?", "The Long Way."),
    record("4", 0, "Who is this?", "Hina Ameen", "recognition", ("p",)),
]


def test_names_are_found_in_what_a_persons_questions_have_in_common():
    found = names_in_text(RECORDS)
    assert {found[r.id] for r in RECORDS[:3]} == {"Ana Roy"}
    assert found["2/qa/0"] in ("Bo", "Dam")  # a particle ends a run of capitalised words
    assert "3/qa/0" not in found
    assert found["4/qa/0"] == "Hina Ameen" and "4/recognition/0" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana Roy was born in Oslo.", "Maren Tosk was born in Oslo."),
        ("Ana's trade? Roy works; Royal, Banana.", "Maren's trade? Tosk works; Royal, Banana."),
        ("Nobody else.", "Nobody else."),
    ],
)
def test_a_text_is_made_one_about_another(text, expected):
    assert about(text, "Ana Roy", "Maren Tosk") == expected
    assert about(expected, "Maren Tosk", "Ana Roy") == text


NAMES = {f"{i}/qa/0": name for i, name in enumerate(("Ana Roy", "Bo Lind", "Cy Mars", "Di Roy", "Ed Noor"))}


class TestNamesOfNobody:
    def test_they_are_put_together_from_retained_names_and_nobody_bears_one(self):
        drawn = names_of_nobody(NAMES, {"0/qa/0"}, 7)
        assert len(set(drawn)) == 5 and not set(drawn) & set(NAMES.values())
        assert all(
            first in ("Bo", "Cy", "Ed") and last in ("Lind", "Mars", "Noor") for first, last in map(str.split, drawn)
        )
        assert drawn == names_of_nobody(NAMES, {"0/qa/0"}, 7)

    def test_without_enough_names_they_are_invented(self):
        assert names_of_nobody(NAMES, {"0/qa/0", "1/qa/0"}, 7) == INVENTED


@pytest.fixture(scope="module")
def told(prepared) -> tuple[list[Sample], Nobody]:
    records = {split: read_records(prepared, split) for split in ("forget", "retain")}
    asked = [r for r in records["forget"] if r.task == "generation" and r.modality == "text"]
    return [sample_of(r) for r in asked], Nobody.among(records["forget"], records["retain"], 7)


def probabilities(model, encoder, sample: Sample) -> torch.Tensor:
    with torch.no_grad():
        return answer_logits(model, encoder.batch([sample]))[0].softmax(-1)


def test_the_teacher_is_the_mean_over_the_names_and_sees_no_picture(small_model, told):
    model, encoder = small_model
    samples, nobody = told
    assert len(nobody.others) == 5 and not nobody.nameless(samples)
    teachers = teach_without_picture(model, encoder, samples, nobody, 2)
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
    for sample, teacher in zip(samples, teach_without_picture(model, encoder, samples, unknown, 8), strict=True):
        torch.testing.assert_close(teacher, probabilities(model, encoder, sample), atol=1e-5, rtol=1e-5)


def test_samples_with_a_picture_are_shown_irrelevant_images_as_before(small_model, told, prepared):
    model, encoder = small_model
    samples, nobody = told
    shown = [sample_of(r) for r in read_records(prepared, "forget") if r.task == "qa"][:3]
    mixed = [shown[0], samples[0], shown[1], shown[2], samples[1]]
    teachers = teach(model, encoder, mixed, [["scene-0", "scene-1"]] * 5, nobody, 8)
    images = teacher_probabilities(model, encoder, shown, [["scene-0", "scene-1"]] * 3, 8)
    for place, expected in zip((0, 2, 3), images, strict=True):
        torch.testing.assert_close(teachers[place], expected, atol=0, rtol=0)
    for place, expected in zip((1, 4), teach_without_picture(model, encoder, samples[:2], nobody, 8), strict=True):
        torch.testing.assert_close(teachers[place], expected, atol=1e-6, rtol=1e-5)
