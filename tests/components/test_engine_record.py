"""A model that doesn't allow a fast path: the runs say so in what they write, and other runs say nothing."""

import json

import pytest

from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.components.evaluate.whole import evaluate, settings, write_inputs
from viker.evidence.seal import check_seal

REASON = "this model's positions follow the picture's rows and columns"


@pytest.fixture
def inputs(prepared, params, tmp_path):
    write_inputs(tmp_path, prepared)
    sample(params.sample, 1, prepared, tmp_path / "images")
    return tmp_path


def name_rows_and_columns(vanilla):
    """Give the model the configuration of one whose positions have rows and columns; it computes as before."""
    path = vanilla / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["rope_parameters"]["mrope_section"] = [1, 1, 2]
    path.write_text(json.dumps(config))


def run_both(params, prepared, folder):
    few = params.unlearn.model_copy(update={"epochs": 1})
    outputs = (folder / "new", folder / "records", folder / "state")
    unlearn(few, 1, 1, Arguments(prepared, folder / "vanilla", folder / "images", *outputs))
    metrics = evaluate(folder, prepared, settings(), adapter=folder / "new")
    assert check_seal(metrics)
    return json.loads((folder / "records/summary.json").read_text()), metrics


@pytest.mark.slow
def test_fallbacks_are_in_the_summary_of_unlearn_and_in_the_metrics(inputs, prepared, params, caplog):
    for written in run_both(params, prepared, inputs):
        assert "engine" not in written
    name_rows_and_columns(inputs / "vanilla")
    caplog.clear()
    for written in run_both(params, prepared, inputs):
        assert written["engine"] == {"fallbacks": [{"what": "shared prefix", "reason": REASON}]}
    assert caplog.text.count(REASON) == 2  # one warning per run
