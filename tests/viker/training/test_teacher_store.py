"""The teacher is asked in the same chunks, whoever asks, and of no sample twice."""

import pytest
import torch

from viker.core.run_store import RunStore
from viker.training import teacher_store
from viker.training.checkpoint import open_store
from viker.training.teacher_store import FILE, stored_teachers, take_chunks, teach_chunks


class Counting:
    """Makes a teacher of i + 1 tokens for sample i, and counts how often it was asked."""

    def __init__(self):
        self.calls, self.numbers = 0, []

    def __call__(self, numbers):
        self.calls += 1
        self.numbers.append(list(numbers))
        return [torch.full((i + 1, 3), float(i)) for i in numbers]


def test_the_teacher_is_computed_once_and_again_for_another_run_or_where_it_is_torn(tmp_path):
    compute = Counting()
    before = stored_teachers(open_store(tmp_path / "state", {"data": "a"}), 2, compute)
    before = [teacher.clone() for teacher in before]  # what is loaded lies in the file
    assert [len(one) for one in before] == [1, 2]
    again = open_store(tmp_path / "state", {"data": "a"})
    stored_teachers(again, 2, compute)
    assert compute.calls == 1
    path = again.folder / FILE.format(0, 0, 1)
    path.write_bytes(path.read_bytes()[:-3])
    after = stored_teachers(again, 2, compute)
    assert compute.calls == 2
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    stored_teachers(open_store(tmp_path / "state", {"data": "b"}), 2, compute)
    assert compute.calls == 3


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_each_chunk_is_asked_by_one_task_and_none_again_by_the_run_that_takes_them_over(tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_store, "CHUNK", 3)
    alone = Counting()
    whole = stored_teachers(RunStore(tmp_path / "whole", {}), 10, alone)
    assert alone.numbers == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    sharing, store = Counting(), RunStore(tmp_path / "shared", {})
    for number in range(tasks):
        part = RunStore(tmp_path / f"part-{number}", {}, (number, tasks))
        files = teach_chunks(part, 10, sharing)
        assert len(files) == len(alone.numbers[number::tasks])
        take_chunks(store, part.folder)
    assert sorted(sharing.numbers) == alone.numbers
    taken = stored_teachers(store, 10, sharing)
    assert sharing.calls == len(alone.numbers)
    assert all(torch.equal(a, b) for a, b in zip(whole, taken, strict=True))


def test_a_task_that_was_killed_asks_only_the_chunks_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_store, "CHUNK", 2)
    compute = Counting()
    store = RunStore(tmp_path / "part", {}, (1, 2))
    teach_chunks(store, 8, compute)
    (store.folder / FILE.format(3, 0, 1)).unlink()
    teach_chunks(store, 8, compute)
    assert compute.numbers == [[2, 3], [6, 7], [6, 7]]
