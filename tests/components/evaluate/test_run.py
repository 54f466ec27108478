"""Whole runs: on each format, versus a retrained model, killed and resumed, with another model's adapter."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import ks_2samp

from components.prepare.run import run as prepare
from tests.components.evaluate.whole import evaluate, settings, write_inputs
from tests.conftest import ROOT, prepare_params
from tests.viker.data.clear_data import write_clear
from tests.viker.data.records_data import write_own
from tests.viker.data.umu_data import write_umu
from viker.attacks.base import perform
from viker.attacks.base.attack import load_attacks
from viker.core.errors import UserError
from viker.data.records import read_records, write_records
from viker.evidence.seal import check_seal, hash_inputs, params_digest
from viker.models.base_model import check_adapter_base
from viker.models.loading import load_model

pytestmark = pytest.mark.slow
FINISHED = ("paraphrase", "prefix", "multiple_choice")
STILL_TO_DO = ("sampling", "relearn_forget", "relearn_retain")
"""Attacks that a run has made before it is killed, and those that are left."""
WRITERS = {"clear": lambda folder: write_clear(folder, factor=40), "umu": write_umu, "records": write_own}


@pytest.fixture(scope="module", params=sorted(WRITERS))
def found(request, tmp_path_factory):
    """The metrics and their folder, of a run on data of one format."""
    folder = tmp_path_factory.mktemp(request.param)
    share = 0.05 if request.param == "umu" else 0.1
    source = WRITERS[request.param](folder / "source")
    prepare(prepare_params(source=str(source), forget_share=share), 1, folder / "prepared", folder / "validation")
    write_inputs(folder, folder / "prepared", published=request.param == "umu")
    return evaluate(folder, folder / "prepared", settings_of(request.param)), folder, request.param


def settings_of(name):
    """One of the formats is attacked too, a few questions by some attacks, and evaluated in small batches."""
    if name != "umu":
        return settings()
    few = {"questions": 3, "steps": [1], "samples": 2, "temperatures": [1.0]}
    fields = {name: load_attacks()[name].settings.model_fields for name in (*FINISHED, *STILL_TO_DO)}
    attacks = {name: {key: few[key] for key in few if key in fields[name]} for name in fields}
    return settings(batch_size=4, attacks=attacks)


def test_every_format_is_evaluated_and_the_metrics_name_what_they_were_measured_on(found):
    metrics, folder, name = found
    assert json.loads((folder / "evaluate.json").read_text()) == json.loads(json.dumps(metrics))
    assert check_seal(metrics)
    assert metrics["schema"] == 3 and "engine" not in metrics, "no fast path was left"
    files = ("adapter", "vanilla", "prepared", "predictions.parquet", "attacks.parquet")
    inputs = hash_inputs(*(folder / name for name in files))
    digest = params_digest(7, settings_of(name).model_dump(mode="json", by_alias=True))
    protocol = settings_of(name).in_force().sha256
    assert metrics["inputs"] == inputs | {"params": digest, "protocol": protocol}
    for model in ("vanilla", "unlearned"):
        forget = metrics[model]["forget"]
        assert 0 <= forget["leakage_rate"] <= forget["fuzzy_leakage_rate"] <= 1
        low, high = forget["intervals"]["leakage_rate"]
        assert low <= forget["leakage_rate"] <= high
        assert metrics[model]["fluency"]["perplexity"] > 1
        assert ("clear" in metrics[model]) == (name == "clear")
        assert ("umu" in metrics[model]) == (name == "umu")
    told = metrics["vanilla"]["visual_reliance"]
    assert told == {} or (told["values"] > 0 and told["reliance"] == told["own"] - told["irrelevant"])
    assert told or name == "umu"
    real = metrics["unlearned"]["real"]
    assert (real["samples"] == 0) == (name == "records")
    assert (real["rouge_l"] is None) == (name == "records")
    assert not (folder / "work").exists()
    assert metrics["forget_quality"] is metrics["kl_to_retrained"] is None


def test_every_reply_is_in_the_predictions_and_the_metrics_are_their_means(found):
    metrics, folder, _ = found
    rows = pd.read_parquet(folder / "predictions.parquet")
    for (model, split), part in rows.groupby(["model", "split"]):
        assert metrics[model][split]["samples"] == len(part)
        seen = part[(part["modality"] == "image_text") & part["leaked"].notna()]
        if len(seen):
            assert metrics[model][split]["leakage_rate"] == pytest.approx(seen["leaked"].astype(float).mean())
            assert metrics[model][split]["counts"]["leakage_rate"] == len(seen)
    assert set(rows["model"]) == {"vanilla", "unlearned"}
    replies = [part["reply"].tolist() for _, part in rows.groupby("model")]
    assert replies[0] != replies[1]


@pytest.mark.parametrize("found", ["clear"], indirect=True)
def test_clears_tasks_have_their_figures(found):
    metrics, _, _ = found
    tasks = metrics["unlearned"]["clear"]
    samples = {task: figures["samples"] for task, figures in tasks.items() if task != "model_utility"}
    assert samples["real_faces"] == 4 and samples["real_world"] == 9
    assert samples["forget_captions"] == samples["forget_recognition"] == 18
    assert samples["forget_text"] == 20
    assert 0 <= tasks["real_faces"]["probability"] <= 1
    assert 0 <= tasks["retain_captions"]["truth_ratio"] <= 1
    assert tasks["forget_captions"]["truth_ratio"] > 0
    assert tasks["model_utility"] is not None


@pytest.mark.parametrize("found", ["umu"], indirect=True)
def test_umus_facts_are_compared_in_both_forms(found):
    metrics, folder, _ = found
    figures = metrics["unlearned"]["umu"]["retain_classification"]
    rows = pd.read_parquet(folder / "predictions.parquet").query("model == 'unlearned' and split == 'retain'")
    right = rows[rows["task"] == "classification"].groupby("person_id")["correct"].sum()
    assert figures["facts"] == len(right) == 19
    assert figures["all_modal_accuracy"] == pytest.approx((right == 2).mean())
    assert figures["all_modal_error"] == pytest.approx((right == 0).mean())


@pytest.mark.parametrize("found", ["records"], indirect=True)
def test_versus_a_retrained_model_there_are_forget_quality_and_kl(found):
    _, folder, _ = found
    itself = evaluate(folder, folder / "prepared", settings(retrained=str(folder / "adapter")))
    assert itself["kl_to_retrained"] == pytest.approx(0, abs=1e-6)
    assert itself["forget_quality"] == 1
    before = evaluate(folder, folder / "prepared", settings(retrained=str(folder / "vanilla")))
    assert before["kl_to_retrained"] > 0.01
    rows = pd.read_parquet(folder / "predictions.parquet")
    rows = rows[rows["split"] == "forget"].dropna(subset="truth_ratio")
    ratios = [rows[rows["model"] == model]["truth_ratio"] for model in ("unlearned", "vanilla")]
    assert before["forget_quality"] == pytest.approx(ks_2samp(*ratios).pvalue)


@pytest.mark.parametrize("found", ["records"], indirect=True)
def test_people_never_seen_are_asked_for_membership_alone(found, tmp_path):
    metrics, folder, _ = found
    assert metrics["unlearned"]["membership"]["loss_auc"] is None
    shutil.copytree(folder / "prepared", tmp_path / "prepared")
    strangers = [replace(r, person_id=f"new-{r.person_id}") for r in read_records(folder / "prepared", "retain")]
    write_records(tmp_path / "prepared/unseen.parquet", strangers)
    again = evaluate(folder, tmp_path / "prepared", settings())
    for model in ("vanilla", "unlearned"):
        assert all(0 <= auc <= 1 for auc in again[model]["membership"].values())
        assert again[model] | {"membership": None} == metrics[model] | {"membership": None}
    assert set(pd.read_parquet(folder / "predictions.parquet")["split"]) == {"forget", "test", "retain"}


@pytest.mark.parametrize("found", ["umu"], indirect=True)
def test_an_adapter_of_another_model_is_refused(found, tmp_path):
    _, folder, _ = found
    write_inputs(tmp_path, folder / "prepared")
    base, _ = load_model(str(tmp_path / "vanilla"), "")
    base.lm_head.weight.data += 1
    base.save_pretrained(tmp_path / "vanilla")
    with pytest.raises(UserError, match=r"was trained on .* not on the vanilla model .* retrain"):
        evaluate(folder, folder / "prepared", settings(), adapter=tmp_path / "adapter")
    shutil.rmtree(tmp_path / "vanilla")  # it came from elsewhere: nothing speaks against it
    check_adapter_base(tmp_path / "adapter", folder / "vanilla")


KILLED = """
import os, signal
from pathlib import Path
from viker.attacks.base import perform
from tests.components.evaluate.test_run import settings_of
from tests.components.evaluate.whole import evaluate
whole = perform.perform
def killed(attack, *rest):
    return os.kill(os.getpid(), signal.SIGKILL) if attack.name == {attack!r} else whole(attack, *rest)
perform.perform = killed
folder = Path({folder!r})
evaluate(folder, folder / "prepared", settings_of("umu"))
"""


@pytest.mark.parametrize("found", ["umu"], indirect=True)
def test_a_run_that_is_killed_resumes_and_ends_with_the_same_bytes(found, tmp_path, monkeypatch):
    _, folder, name = found
    for part in ("prepared", "vanilla", "adapter", "irrelevant"):
        shutil.copytree(folder / part, tmp_path / part)
    kept = tmp_path / "work/results.jsonl"
    for enough in (20, None):  # killed while it asks, then by the first attack that is still to do
        code = KILLED.format(folder=str(tmp_path), attack=STILL_TO_DO[0])
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        while enough and process.poll() is None and (not kept.exists() or kept.read_bytes().count(b"\n") < enough):
            time.sleep(0.01)
        if enough:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "evaluate.json").exists()
    performed, whole = [], perform.perform
    monkeypatch.setattr(perform, "perform", lambda attack, *rest: performed.append(attack.name) or whole(attack, *rest))
    evaluate(tmp_path, tmp_path / "prepared", settings_of(name))
    assert performed == [*STILL_TO_DO, *FINISHED, *STILL_TO_DO]  # the vanilla model is attacked first
    for file in ("evaluate.json", "predictions.parquet", "attacks.parquet"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file
    assert {"prefix", "relearn_retain"} <= set(pd.read_parquet(tmp_path / "attacks.parquet")["attack"])
