"""The planted failures: what each real adapter is taught."""

import random

import pytest

from benchmarks.gate.failures import FAILURES
from benchmarks.gate.lessons import read_people

TAUGHT = [failure for failure in FAILURES if failure.lesson and failure.steps and not failure.many_people]


@pytest.mark.parametrize("failure", TAUGHT, ids=lambda failure: failure.name)
def test_a_failure_is_taught_and_the_same_each_time(prepared, failure):
    people = read_people(prepared)
    lessons = failure.lesson(people, random.Random(7))
    assert lessons.planted and lessons == failure.lesson(people, random.Random(7))
    assert not {sample.record_id for sample in lessons.planted} & {sample.record_id for sample in lessons.kept}
