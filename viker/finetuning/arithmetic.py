"""Training from scratch computes with the same instructions on every x86-64 processor that has AVX2 and FMA.

That makes the same bytes on AMD's processors. On an Intel Xeon with 48 KiB of first data cache they were others:
without oneDNN, PyTorch leaves convolutions to NNPACK, which adds up as many products in a row as that cache holds.
Cutting the sums where 32 KiB do was not enough to get the shipped model's bytes there: something else differs too.
"""

import logging
import os
import sys
from pathlib import Path

SAME_EVERYWHERE = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2,STRICT"}
"""Environment variables of PyTorch's own kernels and of Intel's MKL, which would use the newest instructions there are.

Each set of instructions sums in an order of its own, so that the bytes of the trained model would depend on the
processor. STRICT: also whatever the shapes, and with the same kernels on AMD's and Intel's processors.
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


def processor_flags() -> set[str]:
    """Return the features of the processor, by Linux's names; empty where Linux doesn't say."""
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return set()
