"""The peak of a process is its own, whatever held the memory that started it."""

import subprocess
import sys

from tests.conftest import ROOT
from viker.core.peak_memory import peak_bytes

MIB = 2**20


def test_a_process_does_not_count_what_its_starter_held():
    held = bytearray(b"\1") * (300 * MIB)
    code = "from viker.core.peak_memory import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert MIB < int(done.stdout) < 100 * MIB < len(held) < peak_bytes()


def test_what_was_freed_still_counts():
    before = peak_bytes()
    held = bytearray(b"\1") * before
    del held
    assert peak_bytes() > 1.5 * before
