"""What a data format is, and which ones there are."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from viker.core.errors import UserError
from viker.core.plugins import load_plugins, plugin_names
from viker.data.formats.base.intake import Benchmark, Intake

GROUP = "viker.formats"
"""Formats are also taken from this group of entry points."""

Load = Callable[[Path, float, Sequence[str], Collection[str], Intake], Benchmark]
"""``load(source, forget_share, forget_ids, gone, intake)`` reads a source into splits:

- ``source``: the local file or folder.
- ``forget_share``: picks the benchmark's own split: 0.1 means a tenth of the people.
- ``forget_ids``: the people to forget; none: those of the benchmark's own split.
- ``gone``: people who were forgotten earlier and belong to no split. If that leaves nobody to forget, the splits
  ``forget`` and ``test`` are empty.
- ``intake``: takes the pictures, and the rows that break a rule.

It raises ``UserError`` naming file, row and column of what is not as the format says, or the ID that nobody has.
"""


@dataclass(frozen=True)
class Format:
    """A data format: how it is recognised and how it is read."""

    name: str
    """As ``prepare.format`` spells it, and the module or entry point that holds it."""
    heading: str
    """As the console spells it."""
    source: str
    """The publication or repository that describes it; empty for a format of this project."""
    recognises: Callable[[Path], bool]
    """Whether a file or folder looks like this format; must be false for sources of all other formats."""
    load: Load
    hub: tuple[str, ...] = ()
    """Where the hub has it, OWNER/NAME; the first one is named by the authors."""


@cache
def formats() -> dict[str, Format]:
    """Return all formats by name.

    Raises UserError: two formats have one name, or a format isn't called as its module or entry point is.
    """
    loaded = load_plugins("viker.data.formats", Format, GROUP)
    for name in sorted(set(loaded) - set(plugin_names("viker.data.formats", GROUP))):
        raise UserError(
            f"the format '{name}' is in a module or entry point of another name. Rename one of them: prepare.format "
            "is checked against the names of modules and entry points."
        )
    return loaded


def also_on_hub(uri: str) -> str:
    """Return a sentence with the other addresses of the benchmark that has ``uri``, hf://OWNER/NAME; "" without any."""
    name = uri.removeprefix("hf://").strip("/")
    others = [f"hf://{other}" for one in formats().values() if name in one.hub for other in one.hub if other != name]
    return f" The benchmark is also on the hub as {', '.join(others)}." if others else ""


def recognise(source: Path) -> str:
    """Return the name of the format that ``source`` is in. Raises UserError: none of them, or more than one."""
    matches = [name for name, format_ in formats().items() if format_.recognises(source)]
    if len(matches) != 1:
        problem = f"it could be {' or '.join(matches)}" if matches else "it looks like none of the known formats"
        raise UserError(f"{source}: {problem}. Set prepare.format to one of {', '.join(formats())}.")
    return matches[0]
