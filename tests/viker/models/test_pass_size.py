"""Passes that run out of memory are halved, and what was computed before stays."""

import pytest
import torch

from viker.core.errors import UserError
from viker.models.fast_path import fallbacks, start_run
from viker.models.fitting import fitting
from viker.models.pass_size import PassSize, free_bytes, out_of_memory, share_gpu

MODEL = torch.nn.Linear(1, 1)
FULL = PassSize("full batch of tests")


def computing(most: int, passes: list[int]):
    """A computation whose memory holds ``most`` samples, and which notes the size of each pass."""

    def compute(samples):
        passes.append(len(samples))
        if len(samples) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [sample + 1 for sample in samples]

    return compute


def test_a_pass_is_halved_until_it_fits_and_nothing_is_computed_twice(caplog):
    passes: list[int] = []
    assert list(FULL.each(MODEL, range(21), 8, computing(3, passes))) == list(range(1, 22))
    assert passes == [8, 4, *[2] * 10, 1]
    assert fallbacks() == [{"what": "full batch of tests", "reason": "2 of 8 samples fit the memory"}]
    assert caplog.messages == ["no full batch of tests, at most 2 in one pass: 2 of 8 samples fit the memory"]


def test_the_size_is_remembered_for_the_run_and_for_this_kind_alone(caplog):
    first, second, other = [], [], []
    list(FULL.each(MODEL, range(8), 8, computing(5, first)))
    list(FULL.each(MODEL, range(8), 8, computing(5, second)))
    list(PassSize("others").each(MODEL, range(8), 8, computing(8, other)))
    assert (first, second, other) == ([8, 4, 4], [4, 4], [8]) and len(caplog.messages) == 1
    start_run()
    again: list[int] = []
    list(FULL.each(MODEL, range(8), 8, computing(8, again)))
    assert again == [8] and fallbacks() == []


def test_what_is_kept_between_passes_is_freed_before_a_pass_is_halved():
    kept, passes = [True], []

    def compute(samples):
        return computing(3 if kept else 6, passes)(samples)

    def release(samples):
        return bool(kept and kept.pop())

    assert list(FULL.each(MODEL, range(6), 6, compute, release)) == list(range(1, 7))
    assert passes == [6, 6] and fallbacks() == []


def test_one_sample_that_does_not_fit_is_a_users_error_that_says_what_was_seen_and_what_to_do():
    passes: list[int] = []
    with pytest.raises(UserError, match=r"No memory for a full batch of tests: a single sample.*2\.00 GiB.*viker plan"):
        list(FULL.each(MODEL, range(5), 4, computing(0, passes)))
    assert passes == [4, 2, 1]


def test_other_errors_stand_as_they_are():
    def compute(samples):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        list(FULL.each(MODEL, range(5), 4, compute))
    assert fallbacks() == []


def test_processes_that_share_a_model_do_not_make_passes_smaller(monkeypatch):
    monkeypatch.setattr("viker.models.pass_size.FSDPModule", torch.nn.Linear)
    with pytest.raises(UserError, match="processes that share a model"):
        list(FULL.each(MODEL, range(5), 4, computing(2, [])))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("Allocation on device 0 would exceed allowed memory. (out of memory)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_errors_of_allocators_are_told_from_others(error):
    assert out_of_memory(error)
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_torchs_own_allocator_raises_such_an_error():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert out_of_memory(caught.value)


@pytest.mark.parametrize(("free", "size"), [(1000, 32), (321, 16), (178, 16), (177, 8), (12, 1), (0, 1)])
def test_a_pass_begins_with_what_fits_nine_tenths_of_the_free_memory(free, size):
    assert fitting(32, free, lambda samples: 10 * samples) == size


@pytest.mark.parametrize(("share", "free"), [(1.0, 70), (0.5, 20)])
def test_a_process_that_shares_a_gpu_counts_on_its_part_alone(monkeypatch, share, free):
    answers = {"memory_reserved": 40, "memory_allocated": 30, "mem_get_info": (60, 100)}
    answers["get_per_process_memory_fraction"] = share
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: answer)
    assert free_bytes(torch.device("cuda", 0)) == free


def test_processes_that_share_a_gpu_take_no_more_than_their_parts(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", taken.append)
    share_gpu(1)
    share_gpu(2)
    assert taken == [0.5]


def test_the_cpu_tells_no_free_memory():
    assert free_bytes(torch.device("cpu")) is None
