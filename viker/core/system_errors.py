"""What the system refuses, such as space or permission, as an error that a person can put right."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb

from viker.core.errors import UserError

_SYSTEM = {
    errno.ENOSPC: ("no space left on the device", "Free some and run again."),
    errno.EDQUOT: ("the disk quota is used up", "Free some, or ask for more, and run again."),
    errno.EFBIG: (
        "larger than a file may be here",
        "Raise the limit ('ulimit -f') and run again.",
    ),
    errno.EROFS: ("the file system is read-only", "Choose another place, or mount it writable, and run again."),
    errno.EACCES: ("no permission", "Give this user the permission, or run as one who has it."),
    errno.EPERM: ("not permitted", "Give this user the permission, or run as one who has it."),
    errno.EIO: ("the device reports an input/output error", "Check the disk or the network share, and run again."),
    errno.ESTALE: ("the network share has gone", "Mount it again, and run again."),
    errno.EMFILE: ("too many open files", "Raise the limit ('ulimit -n') and run again."),
    errno.ENFILE: ("too many open files on this machine", "End other programs, and run again."),
    errno.EISDIR: ("a folder where a file is expected", "Move it away and run again."),
    errno.ENOTDIR: ("a file where a folder is expected", "Move it away and run again."),
    errno.ENAMETOOLONG: ("a name too long for the file system", "Choose a shorter one."),
}
"""What the system says no to, in words, and what to do; anything else is a fault of the program."""
_IN_WORDS = (
    (errno.ENOSPC, r"no space left on device|os error 28\b|database or disk is full"),
    (errno.EDQUOT, r"disk quota exceeded|os error 122\b"),
    (errno.EFBIG, r"file too large|os error 27\b"),
    (errno.EROFS, r"read-only file system|os error 30\b|attempt to write a readonly database"),
    (errno.EACCES, r"\[errno 13\]|os error 13\b"),
)
"""How libraries say the same in errors of their own."""


_UNSAID = r"inline_container\.cc|disk I/O error"
"""What torch and SQLite say where the reason is lost."""


def system_error(error: BaseException, path: Path | None = None) -> UserError | None:
    """Return the ``UserError`` for what the system refused: no space, no permission and their kin; None for all else.

    ``error`` may be a library's own that was raised from such a one or quotes it. ``path`` is named where the error
    names none.
    """
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        text = " ".join(f"{type(one).__name__}: {one}".split())[:200]
        if number not in _SYSTEM:
            number = next((n for n, words in _IN_WORDS if re.search(words, text, re.IGNORECASE)), None)
        if number is not None:
            problem, remedy = _SYSTEM[number]
        elif re.search(_UNSAID, text):
            problem = "can't be written: no space, a limit on the size of files, or no permission"
            remedy = "Check these and run again."
        else:
            continue
        place = getattr(one, "output", None) or (one.filename if isinstance(one, OSError) else None) or path
        if place is None:
            return UserError(f"{problem} ({text}). {remedy}")
        if number in (errno.ENOSPC, errno.EDQUOT):
            problem += _space(Path(os.fsdecode(place)), getattr(one, "written", 0))
        return UserError(f"{os.fsdecode(place)}: {problem}{f' ({text})' if number is None else ''}. {remedy}")
    return None


def cut_off_bytecode(error: EOFError) -> UserError | None:
    """Return what to do if an import failed on a ``.pyc`` file that ends too early, else None.

    Python 3.11 leaves such a file behind where the disk is full, and fails on it from then on (CPython issue 126606).
    """
    places = (frame.f_locals.get("bytecode_path") for frame, _ in walk_tb(error.__traceback__))
    path = next((place for place in places if place), None)
    if path is None:
        return None
    return UserError(
        f"{path}: Python's compiled file is cut off, as after a full disk. Delete the folder {Path(path).parent} and "
        "run again; if others are cut off too: find . -name __pycache__ -exec rm -r {} +"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _space(path: Path, written: int) -> str:
    """Return what is known of the space: how much is free, and how much had been written, so is needed at least."""
    there = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    free = f", {_size(shutil.disk_usage(there).free)} are free" if there else ""
    return f"{free}; more than {_size(written)} are needed" if written else free


def _size(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB" if amount >= 1e6 else f"{amount / 1e3:.0f} kB"
