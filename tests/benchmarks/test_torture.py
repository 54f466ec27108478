"""The short form of ``make torture``: a few faults of each kind, on a small project that has run once."""

import os
import signal
from pathlib import Path

import pytest

from benchmarks.torture import pairs, space
from benchmarks.torture.fuzz import fuzz
from benchmarks.torture.signals import interrupted
from benchmarks.torture.tree import Reference, build


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return build(tmp_path_factory.mktemp("torture") / "reference")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "sent", "moment"),
    [("unlearn", signal.SIGKILL, 0.9), ("register", signal.SIGKILL, 0.7), ("evaluate", signal.SIGTERM, 0.8)],
)
def test_interrupted_it_leaves_nothing_torn_and_ends_with_the_same_bytes(
    reference: Reference, stage: str, sent: signal.Signals, moment: float
) -> None:
    assert interrupted(reference, stage, sent, moment).faults == []


@pytest.mark.slow
def test_two_at_once_end_with_the_same_bytes(reference: Reference) -> None:
    assert pairs.race(reference, ("unlearn", "unlearn")).faults == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk needs root")
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_without_space_it_ends_with_an_error_and_nothing_torn(reference: Reference, fault: str) -> None:
    assert space.on_mount(reference, "gate", Path("metrics/gate.json"), fault).faults == []


def test_whatever_is_read_gives_a_result_or_an_error_that_explains(tmp_path: Path) -> None:
    counts = fuzz(tmp_path, examples=25, seed=7)
    assert min(one.tried for one in counts) >= 20
    assert {one.kind: one.failed for one in counts if one.failed} == {}
