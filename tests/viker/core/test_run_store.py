"""The store of a run under way: what is whole is used again, what is torn or another run's is not."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from viker.core.run_store import RESULTS, SEALS, RunStore, differences

ROOT = Path(__file__).parents[3]


def test_a_result_is_computed_once_for_each_of_what_it_is_of(tmp_path):
    store = RunStore(tmp_path / "work", {})
    assert store.result(["a", 1], lambda: [1.5, None]) == [1.5, None]
    assert store.result(["a", 2], lambda: "other") == "other"
    again = RunStore(tmp_path / "work", {})
    assert again.result(["a", 1], lambda: 0) == [1.5, None]
    again.close()
    assert not (tmp_path / "work").exists()


def test_a_killed_process_leaves_whole_results(tmp_path):
    """kill -9 while the second result is computed: the first is there."""
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom viker.core.run_store import RunStore\n"
        f"store = RunStore(Path({str(tmp_path / 'work')!r}), {{}})\n"
        "store.result(['one'], lambda: [1.5])\n"
        "store.result(['two'], lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    store = RunStore(tmp_path / "work", {})
    assert store.result(["one"], lambda: 0) == [1.5]
    assert store.result(["two"], lambda: 2) == 2


def test_a_line_that_was_cut_off_is_computed_again_and_the_next_line_is_whole(tmp_path):
    store = RunStore(tmp_path / "work", {})
    store.result(["one"], lambda: 1)
    store.result(["two"], lambda: 2)
    path = tmp_path / "work" / RESULTS
    path.write_bytes(path.read_bytes()[:-5])
    again = RunStore(tmp_path / "work", {})
    assert again.result(["two"], lambda: 3) == 3
    assert list(RunStore(tmp_path / "work", {}).results.values()) == [1, 3]


@pytest.mark.parametrize("torn", [b"\0\0", b"null", b"7", b"[]", b'["one", 1]', b"{}", b'[["k"], 1]', b"\xff"])
def test_a_torn_line_in_the_middle_alone_is_computed_again(tmp_path, torn):
    store = RunStore(tmp_path / "work", {})
    for name in ("one", "two", "three"):
        store.result([name], lambda name=name: name)
    path = tmp_path / "work" / RESULTS
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + torn + b"\n" + third)
    again = RunStore(tmp_path / "work", {})
    assert list(again.results.values()) == ["one", "three"]
    assert again.result(["two"], lambda: "two") == "two"
    assert path.read_bytes() == first + third + second


def test_what_another_run_left_is_emptied_with_the_difference_named(tmp_path, caplog):
    store = RunStore(tmp_path / "work", {"unlearn": {"lambda": 1.0}, "data": "a"})
    store.result(["one"], lambda: 1)
    sealed(store, 3)
    assert RunStore(tmp_path / "work", {"data": "a", "unlearn": {"lambda": 1.0}}).newest("checkpoint") is not None
    with caplog.at_level(logging.WARNING):
        other = RunStore(tmp_path / "work", {"unlearn": {"lambda": 2.0}, "data": "a"})
    assert "unlearn.lambda was 1.0, is 2.0" in caplog.text
    assert "data" not in caplog.text
    assert other.newest("checkpoint") is None and other.results == {}


def sealed(store: RunStore, step: int) -> Path:
    checkpoint = store.folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "weights").write_bytes(bytes(100))
    store.seal(checkpoint.name)
    return checkpoint


@pytest.mark.parametrize("damage", ["cut", "unsealed", "missing"])
def test_a_torn_entry_is_passed_over_with_a_warning(tmp_path, caplog, damage):
    store = RunStore(tmp_path / "work", {})
    whole, torn = sealed(store, 9), sealed(store, 10)
    if damage == "cut":
        (torn / "weights").write_bytes(bytes(50))
    else:
        (store.folder / SEALS / "checkpoint-10.json" if damage == "unsealed" else torn / "weights").unlink()
    with caplog.at_level(logging.WARNING):
        assert store.newest("checkpoint") == whole
    assert "checkpoint-10: torn" in caplog.text
    assert not torn.exists()


def test_differences_are_named_by_key():
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4}) == [
        "a.b was 1, is 3",
        "c was 2, is None",
        "d was None, is 4",
    ]


@pytest.mark.parametrize("ends", ["closes", "is killed"])
def test_a_second_run_waits_until_the_first_has_ended_and_says_so(tmp_path, ends):
    code = (
        "import sys\nfrom pathlib import Path\nfrom viker.core.run_store import RunStore\n"
        f"store = RunStore(Path({str(tmp_path / 'work')!r}), {{}})\n"
        "kept = sorted(store.results.values())\n"
        "store.result([sys.argv[1]], lambda: sys.argv[1])\nprint(kept, flush=True)\ninput()\nstore.close()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, "-c", code, "first"], env=environment, **pipes)
    assert first.stdout.readline() == "[]\n"
    second = subprocess.Popen([sys.executable, "-c", code, "second"], env=environment, **pipes)
    said = second.stderr.readline()
    assert "work: another run is at work there; this one goes on when that has ended" in said
    assert second.poll() is None
    if ends == "closes":
        first.communicate("\n")
    else:
        first.kill()
        first.communicate()
    left = {"closes": "[]\n", "is killed": "['first']\n"}
    assert second.stdout.readline() == left[ends]
    second.communicate("\n")
    assert second.returncode == 0
    assert list(tmp_path.iterdir()) == []
