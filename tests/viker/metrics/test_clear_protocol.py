"""CLEAR's own protocol: by hand, and CLEAR's table from its published code."""

import pandas as pd
import pytest

from tests.viker.metrics.authors_cases import NEEDS_CASES, cases
from viker.evaluation.retrained import forget_qualities
from viker.metrics.base.catalogue import all_metrics
from viker.metrics.base.reply import Reply
from viker.metrics.clear_protocol import TASKS, clear_protocol, model_utility
from viker.models.scores import Scores

HEADINGS = {
    "Real Faces": "real_faces",
    "Real World": "real_world",
    "Retain": "retain_captions",
    "Retain FaceRec": "retain_recognition",
    "Forget": "forget_captions",
    "Forget FaceRec": "forget_recognition",
}
PARTS = {"Prob.": "probability", "ROUGE": "rouge_l_recall", "Truth Ratio": "truth_ratio"}


def test_model_utility_is_the_harmonic_mean():
    assert model_utility([0.5, 1.0, 0.25]) == pytest.approx(3 / (2 + 1 + 4))
    assert model_utility([0.5, 0.0, 1.0]) == 0
    assert model_utility([0.5, None, 1.0]) is None


def replies(losses: dict) -> pd.DataFrame:
    """Return the table of replies that losses in the form of CLEAR's files amount to."""
    rows = []
    for heading, task in HEADINGS.items():
        split, of_records, people = TASKS[task]
        for key, loss in losses[heading]["avg_gt_loss"].items():
            reply = Reply(
                text="",
                likelihood=Scores([-loss], [True], [-1.0], [1.0]),
                right=-losses[heading]["avg_paraphrased_loss"][key],
                wrong=tuple(-value for value in losses[heading]["average_perturb_loss"][key]),
            )
            row = {metric.column: metric.of_reply(reply) for metric in all_metrics() if metric.of_reply}
            row["rouge_l_recall"] = losses[heading]["rougeL_recall"][key]
            rows.append(row | {"split": split, "task": of_records, "person_id": f"{people}{key}"})
    return pd.DataFrame(rows)


@NEEDS_CASES
def test_clears_table_is_that_of_its_published_code():
    case = cases()["clear"]
    figures = clear_protocol(replies(case["unlearned"]), seed=7)
    expected = dict(case["expected"])
    assert figures["model_utility"] == pytest.approx(expected.pop("Model Utility"), abs=1e-6)
    assert len(expected) == len(HEADINGS) * len(PARTS)
    for part, name in PARTS.items():
        for heading, task in HEADINGS.items():
            assert figures[task][name] == pytest.approx(expected[f"{part} {heading}"], abs=1e-6), (part, heading)


@NEEDS_CASES
def test_forget_quality_goes_by_the_captions_of_forget_alone():
    case = cases()["clear"]
    unlearned, retrained = (replies(case[model]) for model in ("unlearned", "retrained"))
    forget = [table[table["split"] == "forget"] for table in (unlearned, retrained)]
    qualities = forget_qualities(*forget)
    assert qualities["forget_quality"] == pytest.approx(case["forget_quality_tofu"], abs=1e-9)
    assert qualities["forget_quality_clear"] == pytest.approx(case["forget_quality_clear"], abs=1e-9)
    without = [table.assign(task="generation") for table in forget]
    assert forget_qualities(*without)["forget_quality_clear"] is None
    assert forget_qualities(*without)["forget_quality"] != pytest.approx(case["forget_quality_tofu"])


def test_face_recognition_is_normalised_by_its_options_and_captions_are_not():
    loss = {"0": 0.5}
    losses = {
        "avg_gt_loss": loss,
        "avg_paraphrased_loss": loss,
        "average_perturb_loss": {"0": [0.5, 0.5, 0.5]},
        "rougeL_recall": {"0": 0.5},
    }
    figures = clear_protocol(replies(dict.fromkeys(HEADINGS, losses)), seed=7)
    for task in ("forget_recognition", "retain_recognition", "real_faces", "real_world"):
        assert figures[task]["probability"] == pytest.approx(0.25)
    for task in ("forget_captions", "retain_captions"):
        assert figures[task]["probability"] == pytest.approx(0.6065307)
    assert figures["forget_recognition"]["truth_ratio"] == 1
    assert figures["model_utility"] == 0  # on retain, truth and falsehood are equally likely
