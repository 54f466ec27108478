"""``viker doctor``: every check passes, is skipped with a reason, or fails with what to do."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import doctor
from pipelines.cli.main import app
from viker.core.errors import UserError
from viker.core.files import sha256_path, write_json
from viker.evidence.seal import seal
from viker.training.adapter import put_adapter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(prepared, small_model, params, tmp_path, monkeypatch):
    """A work tree with data, model and adapter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(prepared, tmp_path / "data/prepared")
    model, encoder = small_model
    model.save_pretrained("models/vanilla")
    encoder.processor.save_pretrained("models/vanilla")
    adapted = put_adapter(params.unlearn, model)
    adapted.save_pretrained("models/adapter")
    adapted.unload()
    set_params("policy: default", "policy: benchmark")  # the small data have too few questions for another
    set_params("deployed_model: components/finetune/vanilla", "deployed_model: null")
    return tmp_path


def set_params(old, new):
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))


def call():
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    return result.output, result.exception


def states(output):
    return {line[2:].split(":")[0]: line[0] for line in output.splitlines() if line[:1] in "✓–✗" and line.strip()}


def test_a_whole_work_tree_passes_and_nothing_is_written(work):
    before = sorted(path for path in work.rglob("*"))
    output, error = call()
    found = states(output)
    assert list(found) == list(doctor.CHECKS)
    assert found.pop("S3") == "–"
    counts = found.pop("gate's requirements")
    assert counts in "✓✗" and (error is None) == (counts == "✓")
    assert set(found.values()) == {"✓"}
    assert "prompt: 'USER: <image>\\n" in output and "<image> x 4" in output and "</s>" in output
    assert "mlflow.db: will be created" in output
    assert sorted(path for path in work.rglob("*")) == before


def test_reliance_on_pictures_is_that_of_the_metrics_where_they_are_about_this_model(work):
    told = {"own": 0.9, "another": 0.8, "irrelevant": 0.75, "none": 0.5, "reliance": 0.15, "values": 8, "people": 2}
    hashes = {"model": sha256_path(Path("models/vanilla")), "data": sha256_path(Path("data/prepared/manifest.json"))}
    for inputs, source in ((hashes, "as in metrics"), (hashes | {"model": "0" * 64}, "measured on at most 50")):
        write_json(Path("metrics/evaluate.json"), seal({"vanilla": {"visual_reliance": told}, "inputs": inputs}))
        output, _ = call()
        assert source in output
        assert ("visual reliance 0.15" in output and "answers from the text" in output) == (source == "as in metrics")


def test_before_the_first_run_there_is_nothing_to_check_yet(work):
    for folder in ("data", "models"):
        shutil.rmtree(folder)
    output, error = call()
    assert error is None
    assert {name for name, state in states(output).items() if state == "–"} == {
        "gate's requirements", "chat template", "adapter", "visual reliance", "S3"
    }  # fmt: skip


def test_a_gate_that_cannot_pass_is_said_at_once(work):
    set_params("policy: benchmark", "policy: strict")
    output, error = call()
    assert isinstance(error, UserError) and states(output)["gate's requirements"] == "✗"
    assert "the policy 'strict' requires unlearned.forget.samples >= 100" in output


@pytest.mark.parametrize(
    ("spoil", "check", "said"),
    [
        (lambda: Path("models/vanilla/chat_template.jinja").unlink(), "chat template", "has a chat template"),
        (lambda: Path("models/vanilla/tokenizer.json").write_text("{"), "chat template", "can't load the model"),
        (lambda: Path("models/adapter/adapter_model.safetensors").write_bytes(b""), "adapter", "no whole adapter"),
        (lambda: shutil.rmtree("models/vanilla") or Path("models/vanilla").mkdir(), "adapter", "no model here"),
        (lambda: set_params("start_from: null", "start_from: gone"), "adapter", "unlearn.start_from is 'gone'"),
        (lambda: Path("mlflow.db").write_text("no database"), "MLflow", "no tracking store answers"),
    ],
)
def test_what_a_run_would_stop_at_is_found_before(work, spoil, check, said):
    spoil()
    output, error = call()
    assert isinstance(error, UserError) and states(output)[check] == "✗"
    assert said in output and "Traceback" not in output


def test_too_little_disk_or_memory_fails(work, monkeypatch):
    monkeypatch.setattr(doctor, "SPARE", 2**60)
    monkeypatch.setattr(doctor, "_planned", lambda _: json.loads(json.dumps(PLANNED)))
    output, _ = call()
    assert states(output)["disk"] == states(output)["memory"] == "✗"


PLANNED = {
    "device": [{"part": "weights", "bytes": 1}, {"part": "adapter", "bytes": 1}],
    "host": [{"part": "teacher", "bytes": 2**60}],
    "peaks": {"training": 2**60},
    "peak": 2**60,
}


def test_what_is_to_be_fetched_from_s3_can_be_listed(work, s3, bucket):
    for key in ("people/table.jsonl", "requests/r1.yaml", "images/a.png"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    set_params("source: components/prepare/embedded.yaml", f"source: s3://{bucket}/people/table.jsonl")
    set_params("requests: requests", f"requests: s3://{bucket}/requests")
    set_params("folder: null", f"folder: s3://{bucket}/images")
    output, _ = call()
    assert states(output)["S3"] == "✓"
    assert [f"s3://{bucket}/{name}" in output for name in ("people/table.jsonl", "requests", "images")] == [True] * 3


@pytest.mark.parametrize(
    ("address", "change", "said"),
    [
        ("s3://no-such-bucket-here/people", {}, "no-such-bucket-here"),
        ("s3://{bucket}/empty", {}, "nothing below this prefix"),
        ("s3://{bucket}/people", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "no answer from 127.0.0.1"),
    ],
    ids=["no bucket", "nothing there", "no server"],
)
def test_what_s3_does_not_list_is_said_before_a_run(work, s3, bucket, monkeypatch, address, change, said):
    s3.put_object(Bucket=bucket, Key="people/table.jsonl", Body=b"x")
    monkeypatch.setattr("viker.storage.s3.ATTEMPTS", 1)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    set_params("source: components/prepare/embedded.yaml", f"source: {address.format(bucket=bucket)}")
    output, error = call()
    assert isinstance(error, UserError)
    line = next(line for line in output.splitlines() if line.startswith("✗ S3"))
    assert address.format(bucket=bucket) in line and said in line and "unit-test-secret" not in output
