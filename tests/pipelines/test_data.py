"""``viker data import`` and DVC over S3, in a repository with this project's dvc.yaml."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.contract.params import load_params
from tests.hub import COMMIT, serving
from viker.core.files import sha256_path
from viker.data.synthetic.generate import generate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def benchmark(small_description, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark") / "mllmu"
    generate(small_description, folder, seed=1, forget_share=0.1)
    return folder


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A clone of this project, as git sees it, under DVC, with nothing in it that a stage wrote."""
    folder = tmp_path / "repository"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("components", "viker", "requests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("params.yaml", "dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, check=True)
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": search}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def dvc(*arguments: str) -> str:
    result = run("dvc", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def viker_import(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("pipelines.cli.main", "data", "import", *arguments)


def upload(s3, bucket: str, folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        s3.upload_file(str(path), bucket, f"mllmu/{path.relative_to(folder)}")


def test_data_from_s3_are_tracked_pushed_wiped_pulled_and_nothing_reruns(s3, bucket, repository, benchmark):
    upload(s3, bucket, benchmark)
    result = viker_import(f"s3://{bucket}/mllmu")
    assert result.returncode == 0, result.stderr
    assert "dvc push" in result.stdout and "dvc repro" in result.stdout
    assert load_params(Path("params.yaml")).prepare.source == "data/raw/mllmu"
    assert sha256_path(Path("data/raw/mllmu")) == sha256_path(benchmark)
    tracked = YAML().load(Path("data/raw/mllmu.dvc"))
    assert tracked["meta"] == {"source": f"s3://{bucket}/mllmu"} and tracked["outs"][0]["md5"] in result.stdout
    subprocess.run(["git", "add", "."], check=True)
    in_git = subprocess.run(["git", "ls-files", "data"], capture_output=True, text=True, check=True).stdout
    assert in_git.split() == ["data/raw/mllmu.dvc"]

    dvc("remote", "add", "--default", "storage", f"s3://{bucket}/dvc")
    dvc("repro", "prepare")
    written = sha256_path(Path("data/prepared"))
    dvc("push")
    for folder in (".dvc/cache", "data/raw/mllmu", "data/prepared", "data/sources", "validation"):
        shutil.rmtree(folder)
    dvc("pull", "prepare", "data/raw/mllmu.dvc")  # the other stages have not run here
    listed = dvc("ls", ".", "data/raw", "--dvc-only").split()
    assert listed == ["mllmu"]  # found by itself as well: its folder isn't taken for ignored
    assert "Running stage" not in dvc("repro", "prepare")
    assert sha256_path(Path("data/prepared")) == written
    assert sha256_path(Path("data/raw/mllmu")) == sha256_path(benchmark)


def test_a_source_on_s3_is_followed_by_dvc(s3, bucket, repository, benchmark):
    upload(s3, bucket, benchmark)
    text = Path("params.yaml").read_text()
    source = load_params(Path("params.yaml")).prepare.source
    Path("params.yaml").write_text(text.replace(f"source: {source}", f"source: s3://{bucket}/mllmu"))
    for out in ("data/prepared", "validation"):
        Path(out).mkdir(parents=True)
        Path(out, "x").touch()
    dvc("commit", "--force", "prepare")  # as if the stage had run
    assert "up to date" in dvc("status", "prepare")
    s3.put_object(Bucket=bucket, Key="mllmu/README.md", Body=b"news")
    assert f"s3://{bucket}/mllmu" in dvc("status", "prepare")


def test_data_from_the_hub_are_pinned_tracked_and_prepared(repository, benchmark, monkeypatch):
    files = {p.relative_to(benchmark).as_posix(): p.read_bytes() for p in benchmark.rglob("*") if p.is_file()}
    with serving({"owner/mllmu": files}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HOME", str(repository.parent / "home"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        result = viker_import("hf://owner/mllmu")
    assert result.returncode == 0, result.stderr
    assert f"hf://owner/mllmu at {COMMIT}: in data/raw/mllmu, tracked by DVC as" in result.stdout
    assert sha256_path(Path("data/raw/mllmu")) == sha256_path(benchmark)
    assert YAML(typ="safe").load(Path("data/raw/mllmu.dvc"))["meta"]["revision"] == COMMIT
    assert run("components.prepare").returncode == 0
    manifest = json.loads(Path("data/prepared/manifest.json").read_text())
    assert (manifest["source"], manifest["format"]) == ("data/raw/mllmu", "mllmu")


def test_an_import_keeps_the_comments_of_the_parameters(repository, benchmark):
    before = Path("params.yaml").read_text()
    source = load_params(Path("params.yaml")).prepare.source
    assert viker_import(str(benchmark)).returncode == 0
    assert Path("params.yaml").read_text() == before.replace(f"source: {source}", "source: data/raw/mllmu")
    assert sha256_path(Path("data/raw/mllmu")) == sha256_path(benchmark)


def test_another_data_set_is_replaced_only_with_force(repository, tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}/mine").mkdir(parents=True)
        (tmp_path / f"{number}/mine/rows.jsonl").write_text(str(number))
    imported = Path("data/raw/mine/rows.jsonl")
    assert viker_import(f"{tmp_path}/1/mine").returncode == 0
    assert viker_import(f"{tmp_path}/1/mine").returncode == 0  # the same
    refused = viker_import(f"{tmp_path}/2/mine")
    assert refused.returncode == 1 and "--force" in refused.stderr and "--name" in refused.stderr
    assert imported.read_text() == "1"
    told = json.loads(viker_import(f"{tmp_path}/2/mine", "--force", "--json").stdout)
    assert told["folder"] == "data/raw/mine" and told["md5"].endswith(".dir") and told["changed"] == []
    assert imported.read_text() == "2"


def test_a_failed_import_changes_nothing(repository, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/secret").symlink_to("/etc/hostname")
    before = Path("params.yaml").read_text()
    for source, said in (
        (str(tmp_path / "linked"), "symbolic link"),
        ("no/such/folder", "no such file or folder"),
        ("gs://bucket/data", "s3://BUCKET/PREFIX"),
        ("hf://only-a-name", "hf://OWNER/NAME"),
        (f"{tmp_path}/linked/..", "can't be the name"),
    ):
        result = viker_import(source)
        assert result.returncode == 1 and said in result.stderr and "Traceback" not in result.stderr
    assert Path("params.yaml").read_text() == before
    assert not Path("data").exists()
