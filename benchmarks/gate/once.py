"""Steps that are skipped if they were done before with the same inputs, so that a stopped run resumes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from viker.core.files import canonical, new_file, sha256_bytes

ROOT = Path(__file__).parents[2]


def once(mark: Path, inputs: Any, make: Callable[[], object]) -> None:
    """Call ``make``, unless the file ``mark`` says that it was done with the same ``inputs``, which JSON can hold."""
    content = canonical(inputs)
    if mark.is_file() and mark.read_bytes() == content:
        return
    mark.unlink(missing_ok=True)
    make()
    with new_file(mark) as temporary:
        temporary.write_bytes(content)


@cache
def code_hash(*places: str) -> str:
    """Return the SHA-256 of files and folders of code."""
    files = sorted(file for place in places for file in ([ROOT / place] if place.endswith(".py") else _inside(place)))
    return sha256_bytes(b"".join(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() for file in files))


def _inside(folder: str) -> list[Path]:
    return list((ROOT / folder).rglob("*.py"))
