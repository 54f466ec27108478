"""UMU-Bench's all-modal figures: whether a fact's form with the picture and its form of text alone agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viker.metrics.base.aggregate import IMAGE_TEXT, TEXT, summary
from viker.metrics.base.metric import FORGOTTEN, Better, Metric

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("forget", "retain", "real")
CHOSEN = ("classification", "cloze")


def all_modal(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of both forms of each fact, by split and task, from one model's table of replies.

    ``forget_classification``, ``forget_cloze`` and so on: ``all_modal_accuracy``, the share of facts right in both
    forms, and ``all_modal_error``, of those wrong in both; what is left is right in one form alone.
    ``forget_generation`` and so on: ``all_modal_rouge_l``, from ROUGE-L a and b of both: on forget
    (a^2 + b^2) / (a + b), close to the larger, elsewhere 2ab / (a + b), close to the smaller; 0 where both are 0.

    Each is in 0..1, with its count of facts and its interval by person; None where no fact has two forms. Two replies
    are about one fact if their records' IDs differ in the modality at their end alone. Source: UMU-Bench.
    """
    import pandas as pd

    modalities = rows["modality"].astype(str)
    endings = [name.endswith(f"/{kind}") for name, kind in zip(rows["record_id"], modalities, strict=True)]
    rows = rows[endings]
    facts = rows["record_id"].astype(str).str.rsplit("/", n=1).str[0]
    rows = rows.assign(fact=rows["split"].astype(str) + "/" + facts, score=rows["correct"].astype(float))
    rows["score"] = rows["score"].where(rows["task"].isin(CHOSEN), rows["rouge_l"].astype(float))
    seen, told = (rows[rows["modality"] == kind] for kind in (IMAGE_TEXT, TEXT))
    pairs = seen.merge(told[["fact", "score"]], on="fact", suffixes=("", "_text"))
    result: dict[str, Any] = {}
    for split in SPLITS:
        for task in (*CHOSEN, "generation"):
            part = pairs[(pairs["split"] == split) & (pairs["task"] == task)]
            values = _agreement(part) if task in CHOSEN else {"all_modal_rouge_l": _rouge(part, split == "forget")}
            columns = {name: pd.DataFrame({"person_id": part["person_id"], "value": v}) for name, v in values.items()}
            result[f"{split}_{task}"] = summary(columns, seed) | {"facts": len(part)}
    return result


def _agreement(pairs: pd.DataFrame) -> dict[str, pd.Series]:
    first, second = pairs["score"] > 0, pairs["score_text"] > 0
    return {"all_modal_accuracy": (first & second).astype(float), "all_modal_error": (~first & ~second).astype(float)}


def _rouge(pairs: pd.DataFrame, forget: bool) -> pd.Series:
    first, second = pairs["score"], pairs["score_text"]
    combined = first**2 + second**2 if forget else 2 * first * second
    return (combined / (first + second).where(first + second > 0)).fillna(0.0)


def _metric(name: str, meaning: str, better: Better, order: int) -> Metric:
    return Metric(
        name=name,
        heading=name.replace("_", "-", 1).capitalize().replace("_", " ").replace("rouge l", "ROUGE-L"),
        meaning=meaning,
        source="UMU-Bench",
        better=better,
        computed_from="labels" if name != "all_modal_rouge_l" else "text",
        unit="share of facts" if name != "all_modal_rouge_l" else "score",
        blocks=("umu",),
        column="correct" if name != "all_modal_rouge_l" else "rouge_l",
        in_predictions=False,
        order=order,
    )


ALL_MODAL_ACCURACY = _metric(
    "all_modal_accuracy", "facts answered right with the picture and without it", FORGOTTEN, 130
)
ALL_MODAL_ERROR = _metric(
    "all_modal_error", "facts answered wrong with the picture and without it", Better("higher", "lower"), 131
)
ALL_MODAL_ROUGE_L = _metric(
    "all_modal_rouge_l",
    "ROUGE-L of both forms of a question: close to the larger on forget, to the smaller elsewhere",
    FORGOTTEN,
    132,
)
