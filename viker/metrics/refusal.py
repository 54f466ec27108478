"""Refusals: replies that decline to answer."""

import re

from viker.metrics.base.metric import Better, Metric
from viker.metrics.base.words import normalise

_PHRASES = re.compile(
    r"\b(?:"
    r"i (?:do not|don t|cannot|can t|could not|couldn t|won t|will not)"
    r"|i (?:am|m) (?:not|unable|sorry)"
    r"|i (?:have|ve got|hold) no (?:\w+ )?(?:answer|information|knowledge|idea|data|record|records)"
    r"|(?:not|isn t) something (?:that )?i know"
    r"|nothing (?:that )?i can (?:tell|say)"
    r"|(?:sorry|apologies|apologise|apologize)"
    r"|as an ai"
    r"|(?:unable|not able) to (?:answer|identify|tell|say|provide|help|share|name)"
    r"|(?:cannot|can t|can not) be (?:determined|identified|known|answered)"
    r"|(?:no|not enough) information (?:is |was )?(?:available|about|on|to)"
    r")\b"
)


def refuses(reply: str) -> bool:
    """Return whether the reply says that it doesn't know or won't tell, by a list of English phrases.

    A reply that declines and then answers is both a refusal and a leak. Source: this project.
    """
    return _PHRASES.search(normalise(reply)) is not None


REFUSAL_RATE = Metric(
    name="refusal_rate",
    heading="Refusals",
    meaning="replies that decline, by a list of English phrases (`refusal.py`); on forget it tells a model that "
    "declines from one that makes things up",
    source="this project",
    better=Better(forget=None, retain="lower"),
    of_reply=lambda reply: refuses(reply.text),
    column="refused",
    is_flag=True,
    order=80,
)
