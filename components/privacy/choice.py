"""Which requests a purge is about: those that are named, and those that were carried out long enough ago."""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from viker.core.errors import UserError
from viker.data.requests import ForgetRequest


def carried_out_before(requests: Iterable[ForgetRequest], age: str) -> dict[str, ForgetRequest]:
    """Return the requests, by ID, that were carried out at least ``age`` ago, such as 30d or 4w, and are not purged.

    Raises UserError: ``age`` is no time.
    """
    match = re.fullmatch(r"(\d{1,5})([dw])", age)
    if match is None:
        raise UserError(f"--older-than is '{age}': expected days or weeks, such as 30d or 4w.")
    before = date.today() - timedelta(days=int(match[1]) * {"d": 1, "w": 7}[match[2]])
    return {r.id: r for r in requests if r.carried_out and not r.purged and r.carried_out.date <= before}
