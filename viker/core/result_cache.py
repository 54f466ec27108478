"""What a run has computed so far, on disk: a run that is killed goes on from there."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from viker.core.files import sha256_bytes
from viker.evidence.seal import canonical


class Kept:
    """The results of batches, by what was computed; each on disk as soon as it is there.

    A batch is a line of JSON in ``batches.jsonl``. A line that a kill cut off is not used. Results of other inputs
    (another adapter, other data or parameters) are thrown away.
    """

    def __init__(self, folder: Path, inputs: dict[str, Any]) -> None:
        """Keep results in ``folder``, which is removed by ``close``; ``inputs``: what decides them."""
        self.folder = folder
        self.found: dict[str, Any] = {}
        path, stamp = folder / "batches.jsonl", sha256_bytes(canonical(inputs))
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        whole = [json.loads(line) for line in lines[:-1]]  # what comes after the last line's end is cut off
        if not whole or whole[0] != stamp:
            whole = [stamp]
        self.found = dict(whole[1:])
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(canonical(line) + b"\n" for line in whole))
        self.file = path.open("ab")

    def batch(self, of: Sequence[Any], compute: Callable[[], Any]) -> Any:
        """Return what ``compute`` returns, or what it returned for the same ``of`` earlier; JSON can hold it."""
        key = sha256_bytes(canonical(list(of)))
        if key not in self.found:
            self.found[key] = compute()
            self.file.write(canonical([key, self.found[key]]) + b"\n")
            self.file.flush()
        return self.found[key]

    def close(self) -> None:
        """Remove the folder: the run is over."""
        self.file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
