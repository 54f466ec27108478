"""The promise of the README: the whole chain on the embedded defaults, with DVC, MLflow and the shipped model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForImageTextToText, AutoProcessor

from pipelines.cli.main import STAGES
from viker.data.records import read_records

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("VIKER_")} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
}
"""The shell's, but for settings of viker, such as tracking that is off, which would change what a run leaves."""
AFTER_UNLEARN = STAGES[STAGES.index("unlearn") :]

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def clone(folder: Path) -> Path:
    """Copy what git knows of the project into a repository of its own."""
    files = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run(folder, "git", *author, "commit", "-q", "-m", "the project")
    return folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """The project after ``dvc repro``, as ``make demo`` runs it."""
    folder = clone(tmp_path_factory.mktemp("demo"))
    run(folder, "dvc", "repro")
    return folder


@pytest.fixture(scope="module")
def metrics(demo) -> dict:
    return json.loads((demo / "metrics/evaluate.json").read_text())


def test_the_people_are_forgotten_and_the_others_are_not(metrics):
    vanilla, unlearned = metrics["vanilla"], metrics["unlearned"]
    assert vanilla["forget"]["leakage_rate"] >= 0.9
    assert unlearned["forget"]["leakage_rate"] <= 0.1
    assert unlearned["retain"]["leakage_rate"] >= 0.85 * vanilla["retain"]["leakage_rate"] >= 0.75
    assert unlearned["fluency"]["gibberish_rate"] <= 0.02
    assert vanilla["membership"]["min_k_plus_plus_auc"] >= 0.8


def test_the_gate_passes_and_the_version_is_the_champion(demo):
    verdict = json.loads((demo / "metrics/gate.json").read_text())
    registered = json.loads((demo / "metrics/register.json").read_text())
    assert verdict["verdict"] == "pass"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{demo / 'mlflow.db'}")
    champion = client.get_model_version_by_alias(registered["model_name"], "champion")
    assert str(champion.version) == str(registered["version"])
    assert client.get_run(champion.run_id).data.params["unlearn.method.name"] == "viker"


def test_entropy_tells_the_secret_from_the_grammar(demo):
    """A token is an attribute's where it lies in the answer's private value; AUC over the answers to pictures."""
    secrets = {r.id: r.secrets for r in read_records(demo / "data/prepared", "forget") if r.modality == "image_text"}
    tokens = pd.read_parquet(demo / "unlearning/key_tokens.parquet").query("record_id in @secrets")
    attribute = pd.concat([in_value(rows, secrets[name]) for name, rows in tokens.groupby("record_id", sort=False)])
    assert attribute.sum() >= 24
    assert roc_auc_score(attribute, tokens["entropy"]) >= 0.99


def in_value(rows: pd.DataFrame, secrets: tuple[str, ...]) -> pd.Series:
    """Return which tokens overlap a secret's place in the answer that they spell."""
    words = [token.replace("Ġ", " ") for token in rows["token"][:-1]]
    answer, ends = "".join(words), [len("".join(words[: i + 1])) for i in range(len(words))]
    places = [(answer.index(secret), answer.index(secret) + len(secret)) for secret in secrets]
    inside = [
        any(start < end and stop > end - len(word) for start, stop in places)
        for word, end in zip(words, ends, strict=True)
    ]
    return pd.Series([*inside, False], index=rows.index)


def test_the_vanilla_model_is_a_usual_folder_of_transformers(demo):
    pointer = json.loads((demo / "models/vanilla/deployed.json").read_text())
    assert pointer["model"] == "components/finetune/vanilla"
    assert sum(path.stat().st_size for path in (demo / pointer["model"]).iterdir()) <= 5_000_000
    model = AutoModelForImageTextToText.from_pretrained(demo / pointer["model"])
    processor = AutoProcessor.from_pretrained(demo / pointer["model"])
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Who?"}]}]
    assert model.config.model_type == "llava"
    assert processor.apply_chat_template(asked, add_generation_prompt=True).endswith("Who?\nASSISTANT:")


def test_preparing_again_gives_the_same_bytes(demo, tmp_path):
    out = tmp_path / "prepared"
    run(demo, "python", "-m", "components.prepare", "--out", str(out), "--validation", str(tmp_path / "validation"))
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert [name for name in files if (out / name).read_bytes() != (demo / "data/prepared" / name).read_bytes()] == []


def test_a_second_repro_runs_nothing(demo):
    assert run(demo, "dvc", "repro").rstrip().endswith("Data and pipelines are up to date.")


def test_a_new_lambda_reruns_from_unlearn_on_only(demo):
    text = (demo / "params.yaml").read_text()
    try:
        (demo / "params.yaml").write_text(text.replace("lambda: 2.0", "lambda: 0.5"))
        due = run(demo, "dvc", "repro", "--dry")
    finally:
        (demo / "params.yaml").write_text(text)
    stages = [stage for stage in STAGES if f"Running stage '{stage}'" in due]
    assert stages[0] == "unlearn"  # dry: a stage after it is listed only where it reads the parameter itself
    assert set(stages) <= set(AFTER_UNLEARN)


def test_the_summary_shows_verdict_and_places(demo):
    shown = run(demo, "viker", "summary").replace("\u00a0", " ")
    for part in ("0 of 4 people", "at most 53 %", "ROUGE-L", "gibberish", "report/report.html", "mlflow ui"):
        assert part in shown
    assert "Passed" in shown
