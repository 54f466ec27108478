"""The stage unlearn asks the teacher, and says of which questions it knows too much."""

from dataclasses import replace

from components.unlearn.ask import Loaded, ask_teacher
from viker.core.run_store import RunStore
from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.teacher.people import People
from viker.teacher.teacher import TeacherInputs
from viker.training.questions import Questions


def test_questions_whose_person_is_not_known_by_name_are_counted_and_one_is_named(
    small_model, prepared, tmp_path, caplog
):
    model, encoder = small_model
    records = read_records(prepared, "forget")
    told = [sample_of(r) for r in records if r.task == "generation" and r.modality == "text"]
    shown = [sample_of(r) for r in records if r.task == "qa"][:2]
    known = People.among(records, read_records(prepared, "retain"), 7)
    for people, warned in ((known, 0), (replace(known, names={}), 1)):
        caplog.clear()
        store = RunStore(tmp_path / str(warned), {})
        count = 2 + len(told)
        inputs = TeacherInputs(shown + told, [("scene-0",)] * count, [()] * count, people)
        loaded = Loaded(model, encoder, {}, Questions([], shown + told, [], {}, people), inputs, {})
        teachers = ask_teacher(store, loaded, {"irrelevant": 1.0})
        assert len(teachers) == 2 + len(told)
        assert sum("name nobody that was found" in record.message for record in caplog.records) == warned
    assert f"{len(told)} forget records" in caplog.text and told[0].record_id in caplog.text
