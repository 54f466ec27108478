"""The most memory that this process has held at once."""

import re
import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the highest resident memory of this process since its program began, bytes.

    Where the kernel tells it (Linux), since getrusage counts there what the process that started this one held. Else by
    getrusage, which counts in bytes on macOS.
    """
    if STATUS.is_file() and (peak := re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)):
        return int(peak[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
