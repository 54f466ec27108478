"""The figures measured so far, saved after each case so that an interrupted benchmark can resume."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.row import Row
from viker.core.files import read_json, sha256_json, sha256_path, write_json
from viker.core.run_store import differences

ROOT = Path(__file__).parents[2]
MEASURED = ("viker", "components", "benchmarks")
"""The folders of the code that decides about a figure."""


class Figures:
    """The rows of each case, in a JSON file that is rewritten after every case.

    ``about``: the setup: device, versions, parameters, code; JSON values. Figures of another setup are dropped.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], say: Callable[[str], object]) -> None:
        """Read the figures in ``path``; ``say`` is told what differs if they are dropped."""
        self.path, self.about = path, dict(about)
        before = read_json(path, "benchmarks.gpu") if path.is_file() else dict(about)
        self._cases: dict[str, list[Row]] = {}
        if changed := differences({name: before.get(name) for name in about}, about):
            say(f"{path}: from another setup, so everything is measured again: {'; '.join(changed)}")
            return
        self._cases = {name: [Row(**row) for row in rows] for name, rows in before.get("cases", {}).items()}

    def lacking(self, cases: Iterable[str]) -> list[str]:
        """Return those of ``cases`` that have not been measured yet."""
        return [name for name in cases if not any(row.is_measured for row in self._cases.get(name, ()))]

    def add(self, name: str, rows: list[Row]) -> None:
        """Keep a case's rows, in place of those that it had."""
        self._cases[name] = rows
        cases = {name: [asdict(row) for row in rows] for name, rows in self._cases.items()}
        write_json(self.path, self.about | {"cases": cases})

    def rows(self, cases: Iterable[str]) -> list[Row]:
        """Return the rows of those of ``cases`` that were measured, in that order."""
        return [row for name in cases for row in self._cases.get(name, ())]


def code() -> str:
    """Return the SHA-256 of the code that decides about a figure."""
    files = [path for folder in MEASURED for path in sorted((ROOT / folder).rglob("*.py"))]
    return sha256_json([[str(path.relative_to(ROOT)), sha256_path(path)] for path in files])
