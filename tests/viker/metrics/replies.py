"""Replies as the table that figures are made from."""

from collections.abc import Sequence

import pandas as pd

from viker.metrics.base.catalogue import all_metrics
from viker.metrics.base.reply import Reply


def table(replies: Sequence[Reply], split: str = "forget", task: str = "generation") -> pd.DataFrame:
    """Return the table of replies to as many people's question with a picture, one each."""
    rows = []
    for person, reply in enumerate(replies):
        row = {metric.column: metric.of_reply(reply) for metric in all_metrics() if metric.of_reply}
        rows.append(row | {"person_id": str(person), "split": split, "task": task, "modality": "image_text"})
    return pd.DataFrame(rows)
