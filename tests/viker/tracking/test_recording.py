"""A stage records without MLflow and without risk; which run it belongs to follows from the work tree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.contract.params import load_params
from tests.viker.tracking.tree import change
from viker import tracking
from viker.core.redact import redacted
from viker.tracking.identity import lineage

ROOT = Path(__file__).parents[3]
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "HF_TOKEN": "planted-hf-token",
    "MLFLOW_TRACKING_PASSWORD": "planted-password",
}


def key(tree) -> str:
    values = load_params(tree.folder / "params.yaml").values()
    return lineage("unlearn", values, tree.folder / "params.yaml")[-2]["key"]


def commit(folder: Path) -> None:
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder))
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "state"]):
        subprocess.run([*git, *arguments], check=True)


def test_the_same_state_is_the_same_run_and_another_is_another(tree, monkeypatch):
    (tree.folder / "components").mkdir()
    (tree.folder / "components/code.py").write_text("1")
    (tree.folder / "viker").mkdir()
    commit(tree.folder)
    keys = {key(tree)}
    (tree.folder / "dvc.lock").write_text("stages: {}")
    (tree.folder / "notes.txt").write_text("not code")
    assert {key(tree)} == keys
    for name in ("components/code.py", "components/new.py", "viker/new.py", "source.csv"):
        (tree.folder / name).write_text("22")
        assert key(tree) not in keys, name
        keys.add(key(tree))
    change(tree.folder, seed=8)
    assert key(tree) not in keys
    (tree.folder / "params.yaml").write_text("# a comment\n" + (tree.folder / "params.yaml").read_text())
    assert key(tree) not in keys
    monkeypatch.setenv("VIKER_RUN", "one")
    named = key(tree)
    change(tree.folder, seed=9)
    assert key(tree) == named
    monkeypatch.setenv("VIKER_RUN", "two")
    assert key(tree) != named


def test_the_run_says_what_code_it_was(tree):
    commit(tree.folder)
    values = load_params(tree.folder / "params.yaml").values()
    tags = lineage("unlearn", values, tree.folder / "params.yaml")[-2]["tags"]
    head = subprocess.run(["git", "-C", tree.folder, "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert tags["git_commit"] == head.strip() and tags["git_dirty"] == "false"
    (tree.folder / "source.csv").write_text("2")
    (tree.folder / "dvc.lock").write_text("stages: {}")
    assert lineage("unlearn", values, tree.folder / "params.yaml")[-2]["tags"]["git_dirty"] == "true"


def test_a_task_of_kubeflow_tells_only_the_sections_that_it_was_given(tree, monkeypatch):
    monkeypatch.setenv("VIKER_RUN", "3e2f")
    values = load_params(tree.folder / "params.yaml").values()
    pipeline_run, stage_run = lineage("unlearn", values, tree.folder / "params.yaml")[-2:]
    assert stage_run["tags"][tracking.RUN_TAG] == "3e2f"
    assert {name.split(".")[0] for name in pipeline_run["params"]} == {"seed", "unlearn"}
    all_of_them = lineage("register", values, tree.folder / "params.yaml")[-2]["params"]
    assert {"threads", "unlearn.method.lambda", "gate.policy"} <= set(all_of_them)
    assert pipeline_run["tags"]["engine"] == "kubeflow" and pipeline_run["tags"][tracking.RUN_TAG] == "3e2f"


def test_no_secret_of_the_environment_is_recorded(tree, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError), tree.stage("unlearn") as recorded:
        recorded.params({"note": f"token {SECRETS['HF_TOKEN']} for s3://clerk:planted-in-a-uri@bucket/x"})
        raise RuntimeError(f"401 for {SECRETS['MLFLOW_TRACKING_PASSWORD']}")
    recorded_text = "".join(path.read_text() for path in (tree.folder / "work").rglob("*") if path.is_file())
    assert "planted" not in recorded_text and "***@bucket" in recorded_text and "401 for ***" in recorded_text


def test_words_are_not_taken_for_secrets(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "viker")
    assert redacted({"a": ["viker", 1, None]}) == {"a": ["viker", 1, None]}


def test_a_stage_goes_on_where_nothing_can_be_written(tree, monkeypatch, caplog):
    (tree.folder / "file").write_text("")
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tree.folder / "file"))
    done = []
    with tree.stage("unlearn") as recorded:
        recorded.metrics({"a": 1})
        done.append(recorded.on)
    assert done == [False] and "nothing more of this stage is recorded" in caplog.text


def test_of_several_processes_the_first_records(tree, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    tree.record()
    assert tree.waiting() == []
    monkeypatch.setenv("RANK", "0")
    tree.record()
    assert len(tree.waiting()) == 1


def test_tracking_can_be_off(tree, monkeypatch):
    monkeypatch.setenv("VIKER_TRACKING", "off")
    tree.record()
    assert not (tree.folder / "work").exists()


def test_a_stage_records_without_loading_mlflow(tree):
    code = (
        "import sys\nfrom pathlib import Path\nfrom viker import tracking\n"
        "from components.contract.params import load_params\nfile = Path('params.yaml')\n"
        "sys.modules['mlflow'] = None\n"
        "with tracking.Stage('gate', load_params(file).values(), file) as recorded:\n"
        "    recorded.metrics({'gate': {'passed': 1.0}})\n"
        "print(sorted({'torch', 'sqlalchemy', 'pandas'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    last = json.loads(tree.waiting()[0].read_text().splitlines()[-1])
    assert last["end"] == "FINISHED"
    tree.publish()
    assert tree.runs()["gate"].data.metrics == {"gate.passed": 1.0}


def test_a_stage_without_database_drivers_leaves_its_records_silently(tree, monkeypatch):
    """As in the images of all stages but register, on a work tree whose runs are in SQLite."""
    monkeypatch.delenv("DVC_STAGE")
    code = (
        "import sys\nfrom pathlib import Path\nfrom viker import tracking\n"
        "from components.contract.params import load_params\nfile = Path('params.yaml')\n"
        "sys.modules['sqlalchemy'] = None\n"
        "with tracking.Stage('unlearn', load_params(file).values(), file, live=True):\n"
        "    tracking.log_metrics({'a': 1}, 1)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": tree.uri}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(tree.waiting()) == 1
    tree.publish()
    assert tree.runs()["unlearn"].data.metrics == {"a": 1}
