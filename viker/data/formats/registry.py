"""The formats that prepare reads, by the name that ``prepare.format`` gives them."""

from pathlib import Path
from types import ModuleType

from viker.core.errors import UserError
from viker.data.formats import clear, mllmu, records, umu

FORMATS: dict[str, ModuleType] = {"mllmu": mllmu, "clear": clear, "umu": umu, "records": records}
NAMES = {"mllmu": "MLLMU-Bench", "clear": "CLEAR", "umu": "UMU-Bench", "records": "your own table of questions"}
"""What the console calls them."""


def recognise(source: Path) -> str:
    """Return the name of the format that ``source`` is in.

    Raises:
        UserError: none of them, or more than one.
    """
    found = [name for name, loader in FORMATS.items() if loader.recognises(source)]
    if len(found) != 1:
        took = f"it could be {' or '.join(found)}" if found else "it looks like none of the known formats"
        raise UserError(f"{source}: {took}. Set prepare.format to one of {', '.join(FORMATS)}.")
    return found[0]
