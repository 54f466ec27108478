"""From a table of replies to a model's figures with counts and intervals, and to the differences between two models.

A table of replies has one row per reply: ``person_id``, ``split``, ``task``, ``modality`` and every metric's column,
as ``viker.evaluation.rows.row`` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from viker.data.records import OPEN_TASKS, SPLITS, UNSEEN
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.base.information import information
from viker.metrics.base.kept import kept
from viker.metrics.base.metric import Block, Metric
from viker.metrics.base.statistics import interval, mean

if TYPE_CHECKING:
    import pandas as pd

IMAGE_TEXT, TEXT = "image_text", "text"


def measure_both(tables: Mapping[str, pd.DataFrame], seed: int) -> dict[str, Any]:
    """Return ``measure`` of both models by name, and what needs more than the replies of one split.

    That is, of the unlearned model, ``kept`` in retain and real; and ``information`` in forget and test.

    ``tables``: ``vanilla`` and ``unlearned``, tables of replies with ``attribute`` and ``value`` besides.
    """
    result = {name: measure(rows, seed) for name, rows in tables.items()}
    asked = tables["vanilla"]
    domain = asked.loc[asked["split"] != UNSEEN, ["attribute", "value"]]
    for name, rows in tables.items():
        for split in ("forget", "test"):
            result[name][split]["information"] = information(rows[rows["split"] == split], domain, seed)
    for split in ("retain", "real"):
        before, after = (tables[name][tables[name]["split"] == split] for name in ("vanilla", "unlearned"))
        result["unlearned"][split]["kept"] = kept(before, after, seed)
    return result


def measure(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the metrics of one model: one block per split, ``fluency`` and ``membership``.

    A split's metrics are of questions with a picture, those of ``text_only`` of questions without. Each metric is None
    where there is nothing to measure; ``counts`` says over how many replies it is the mean (people for metrics per
    person), ``intervals`` has its interval by person, see ``statistics.interval``. ``measurable_rate`` is the share of
    the open questions with a picture whose answer has a private value, so that a reply can leak;
    ``measurable_people_rate`` the share of the split's people about whom there is one. People never seen count in
    ``membership`` alone.

    ``rows``: the model's table of replies; ``seed``: of the bootstrap.
    """
    result: dict[str, Any] = {}
    for split in SPLITS:
        part = rows[rows["split"] == split]
        sizes = {"samples": len(part), "people": int(part["person_id"].nunique())}
        with_picture, without = (_block("split", part[part["modality"] == kind], seed) for kind in (IMAGE_TEXT, TEXT))
        result[split] = with_picture | measurable(part) | sizes | {"text_only": without}
    result["fluency"] = _block("fluency", rows[rows["split"] != UNSEEN], seed)
    result["membership"] = membership(*(rows[rows["split"] == split] for split in ("forget", UNSEEN)))
    return result


def measurable(rows: pd.DataFrame) -> dict[str, float | None]:
    """Return of one split's rows the shares of open questions, and of people, of which a reply can leak."""
    spoken = rows[(rows["modality"] == IMAGE_TEXT) & rows["task"].isin(OPEN_TASKS)]
    able = spoken[spoken["leaked"].notna()]
    people = rows["person_id"].nunique()
    return {
        "measurable_rate": len(able) / len(spoken) if len(spoken) else None,
        "measurable_people_rate": able["person_id"].nunique() / people if people else None,
    }


def membership(members: pd.DataFrame, strangers: pd.DataFrame) -> dict[str, float | None]:
    """Return each metric that compares forget people with people never seen; None where one side is empty."""
    result: dict[str, float | None] = {}
    for metric in metrics_of("membership"):
        sides = [values_of(metric, rows)["value"].dropna().tolist() for rows in (members, strangers)]
        result[metric.name] = metric.compare(*sides) if metric.compare and all(sides) else None
    return result


def differences(vanilla: pd.DataFrame, unlearned: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return unlearned - vanilla of each split's metrics, of questions with a picture: ``value``, ``low``, ``high``.

    Paired: each reply is compared with the other model's to the same question, and people are drawn. None where there
    is nothing to measure.

    Both are tables of replies in the same order; ``seed`` is that of the bootstrap.
    """
    result: dict[str, Any] = {}
    for split in SPLITS:
        of_model = (rows[rows["modality"] == IMAGE_TEXT] for rows in (vanilla, unlearned))
        before, after = (rows[rows["split"] == split] for rows in of_model)
        result[split] = {}
        for metric in metrics_of("split"):
            first, change = values_of(metric, before), values_of(metric, after)
            change = change.assign(value=change["value"] - first["value"]).dropna()
            bounds = interval(change["value"].tolist(), change["person_id"].tolist(), seed)
            low, high = bounds or (None, None)
            result[split][metric.name] = {"value": mean(change["value"].tolist()), "low": low, "high": high}
    return result


def values_of(metric: Metric, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what a metric is the mean of: columns ``person_id`` and ``value``, NaN where a reply has none."""
    import pandas as pd

    asked = rows["task"].isin(metric.tasks)
    people, numbers = rows["person_id"][asked].astype(str), rows[metric.column][asked]
    values = pd.DataFrame({"person_id": people, "value": numbers.to_numpy(dtype=float, na_value=float("nan"))})
    if metric.of_value:
        values["value"] = values["value"].map(metric.of_value, na_action="ignore")
    return values.groupby("person_id").max().reset_index() if metric.per_person else values


def summary(
    values: Mapping[str, pd.DataFrame], seed: int, within: Mapping[str, tuple[float, float] | None] | None = None
) -> dict[str, Any]:
    """Return the mean of each metric's values (see ``values_of``), with ``counts`` and ``intervals``.

    ``within``: the range of each metric that is a rate, see ``statistics.interval``.
    """
    result: dict[str, Any] = {"counts": {}, "intervals": {}}
    for name, table in values.items():
        present = table["value"].notna().to_numpy()
        numbers, people = (table[column].to_numpy()[present].tolist() for column in ("value", "person_id"))
        result[name] = mean(numbers)
        result["counts"][name] = len(numbers)
        result["intervals"][name] = interval(numbers, people, seed, (within or {}).get(name))
    return result


def _block(block: Block, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the metrics of a block over ``rows``."""
    metrics = metrics_of(block)
    within = {metric.name: metric.within for metric in metrics}
    result = summary({metric.name: values_of(metric, rows) for metric in metrics}, seed, within)
    for metric in metrics:
        if metric.finish is None or result[metric.name] is None:
            continue
        result[metric.name] = metric.finish(result[metric.name])
        bounds = result["intervals"][metric.name]
        result["intervals"][metric.name] = bounds and [metric.finish(bound) for bound in bounds]
    return result
