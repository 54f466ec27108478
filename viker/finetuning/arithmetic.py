"""Training from scratch sums in the same order on every x86-64 processor that has AVX2 and FMA.

So the trained model has the same bytes everywhere. What would choose by the processor, and what is done about it:
PyTorch's own kernels and MKL by its instructions, and MKL by its maker too (``SAME_EVERYWHERE``); oneDNN and NNPACK by
its caches (``same_sums``).
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAME_EVERYWHERE = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"}
"""Environment variables of PyTorch's own kernels and of Intel's MKL, which would use the newest instructions there are.

Each set of instructions sums in an order of its own. On processors that aren't Intel's, MKL knows one branch only that
repeats Intel's results, COMPATIBLE, and takes others as if they had not been set (oneMKL's "Conditional Numerical
Reproducibility").
"""

log = logging.getLogger(__name__)


def same_arithmetic() -> None:
    """Choose AVX2 for this process, or warn that the processor hasn't got it.

    Does nothing once torch is imported: it has chosen by then.
    """
    if "torch" in sys.modules:
        return
    if {"avx2", "fma"} <= processor_flags():
        os.environ.update(SAME_EVERYWHERE)
    else:
        log.warning("no AVX2 and FMA here: the trained model will differ from that of other processors in its bytes")


@contextmanager
def same_sums() -> Iterator[None]:
    """Leave convolutions to MKL while the block runs: oneDNN and NNPACK divide their sums by the processor's caches."""
    import torch

    before = torch.backends.mkldnn.set_flags(False)[0], torch.backends.nnpack.set_flags(False)[0]
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(before[0])
        torch.backends.nnpack.set_flags(before[1])


def processor_flags() -> set[str]:
    """Return the features of the processor, by Linux's names; empty where Linux doesn't say."""
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return set()
