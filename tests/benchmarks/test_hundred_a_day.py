"""The page of numbers: every artifact of the compiled pipeline has a size, and a task moves what it declares."""

import pandas as pd
import pytest
from ruamel.yaml import YAML

from benchmarks.hundred_a_day import artifact_bytes, gpu_seconds, moved
from components.contract.params import load_params
from tests.conftest import ROOT
from viker.training.memory import Sizes


@pytest.fixture
def work(tmp_path):
    """A work tree of 2 people to forget and 4 to keep, with 3 questions each."""
    folders = ("data/prepared", "data/irrelevant", "evaluation", "metrics", "report", "unlearning", "validation")
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    groups = {"forget": "01", "test": "01", "retain": "2345", "real": "6", "unseen": "7"}
    for name, people in groups.items():
        table = pd.DataFrame({"person_id": [one for one in people for _ in range(3)]})
        table.to_parquet(tmp_path / f"data/prepared/{name}.parquet")
    pd.DataFrame({"hash": range(8)}).to_parquet(tmp_path / "data/prepared/pictures.parquet")
    pd.DataFrame({"split": ["forget"] * 12 + ["retain"] * 24}).to_parquet(tmp_path / "evaluation/predictions.parquet")
    asked = {
        "model": ["vanilla", "unlearned"] * 6,
        "attack": "prefix",
        "record_id": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
    }
    pd.DataFrame(asked).to_parquet(tmp_path / "evaluation/attacks.parquet")
    for name in ("metrics/evaluate.json", "report/evidence.zip", "report/report.html"):
        (tmp_path / name).write_text("0123456789")
    return tmp_path


def test_each_task_moves_what_it_declares(work):
    sizes = artifact_bytes(work, people=6, requests=2, picture=100, adapter=7_000_000)
    with (ROOT / "deploy/pipeline.yaml").open() as stream:
        pipeline = next(iter(YAML(typ="safe", pure=True).load_all(stream)))
    tasks = {name: (read, written) for name, read, written in moved(pipeline, sizes)}
    assert {"prepare", "unlearn", "ask-vanilla", "evaluate", "gate", "purge"} <= set(tasks)
    files = sum((work / f"data/prepared/{name}.parquet").stat().st_size for name in ("forget", "test", "retain"))
    assert files < sizes["prepared"] < files + 10_000
    assert tasks["evaluate"][0] == sum(
        sizes[name] for name in ("adapter", "answers_vanilla", "irrelevant", "prepared", "vanilla")
    )
    twice = artifact_bytes(work, people=12, requests=4, picture=100, adapter=0)
    assert twice["predictions"] == pytest.approx(2 * sizes["predictions"])
    many = artifact_bytes(work, people=6000, requests=2000, picture=100, adapter=0)
    assert many["attacks"] == pytest.approx(sizes["attacks"] * 200 / 6)  # an attack asks 200 questions at most


def test_gpu_hours_follow_the_operations_written_out():
    unlearn = load_params(ROOT / "params.yaml").unlearn.model_copy(
        update={"batch_size": 2, "epochs": 1, "start_from": None, "retain_batch_size": 4}
    )
    sizes = Sizes(**dict.fromkeys(Sizes.__dataclass_fields__, 0) | {"parameters": 10})
    took = gpu_seconds(unlearn, sizes, questions=4, replies=8, batch=4, flops=1.0, bandwidth=1.0)
    # two steps: forget and retain there and back, vanilla on retain; and the teacher once per question
    assert took["unlearn"] == (2 * ((2 + 4) * 2 + 4) + 4) * 676 * 20
    assert took["ask"] == 8 * 616 * 20 + 2 * 60 * 20
