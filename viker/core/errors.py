"""The one error that means: a person can put this right."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave is wrong.

    The message says what is wrong, where (file, row, column, parameter), what was expected and what to do.
    Commands print it as one paragraph, without a traceback, and exit with 1.
    """


def nearest_or_known(key: str, known: Iterable[str]) -> str:
    """Return the end of a sentence on an unknown key: the one most like it, or all that are known."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(names)}"


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """Return the end of a sentence on an unknown name: the names most like it, or a full stop."""
    near = difflib.get_close_matches(wanted, sorted(known), n=3)
    return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else "."
