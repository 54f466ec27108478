"""YAML files that come with the project, chosen by name, or one of the user's own, chosen by path."""

import difflib
from pathlib import Path


def shipped_names(folder: Path) -> list[str]:
    """Return the names of the files in ``folder``, which is part of the project."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def shipped_path(chosen: str, folder: Path, kind: str, or_null: bool = False) -> Path:
    """Return a shipped file by its name, or ``chosen`` itself if it ends with .yaml or .yml.

    Args:
        chosen: the name or path.
        folder: where the shipped files are.
        kind: what they are, for the message.
        or_null: whether null may be chosen instead, for the message.

    Raises ValueError: it is neither; the message has the nearest name.
    """
    if chosen.endswith((".yaml", ".yml")):
        return Path(chosen)
    names = shipped_names(folder)
    if chosen in names:
        return folder / f"{chosen}.yaml"
    nearest = difflib.get_close_matches(chosen, names, n=1)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    known = ", ".join([*(f"'{name}'" for name in names), *(["null"] if or_null else [])])
    raise ValueError(f"there is no such {kind}. {hint}Expected {known}, or the path of a YAML file of your own")
