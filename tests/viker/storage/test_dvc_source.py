"""``dvc+GIT#PATH``: data at a revision of a git repository, from DVC's remote on S3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from viker.core.errors import UserError
from viker.storage import fetch, pin, state


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def dvc(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], cwd=folder, check=True, capture_output=True)


@pytest.mark.slow
def test_data_come_at_the_revision_that_is_named_whatever_the_branch_says_now(s3, bucket, tmp_path) -> None:
    repository = tmp_path / "repository"
    raw = repository / "data/raw/people"
    raw.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    dvc(repository, "init")
    dvc(repository, "remote", "add", "--default", "storage", f"s3://{bucket}/dvc")
    for version, text in (("v1", "first"), ("v2", "second")):
        (raw / "a.jsonl").write_text(text)
        dvc(repository, "add", "data/raw/people")
        dvc(repository, "push")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", version)
        git(repository, "tag", version)

    uri = f"dvc+file://{repository}#data/raw/people"
    commit = pin(uri, "v1")
    assert commit == git(repository, "rev-parse", "v1")
    assert pin(uri, "main") == git(repository, "rev-parse", "v2")
    assert state(uri) == ""
    folder = fetch(uri, commit, tmp_path / "cache")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.jsonl": "first"}
    assert (fetch(uri, pin(uri, "v2"), tmp_path / "cache") / "a.jsonl").read_text() == "second"

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = (
        f"from viker.storage import fetch, pin; fetch({uri!r}, pin({uri!r}, 'v2'), Path({str(tmp_path / 'third')!r}))"
    )
    environment = os.environ | {"TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", f"from pathlib import Path; {program}"], env=environment, check=True)
    assert [*(tmp_path / "third").rglob("a.jsonl")] and not any(temporary.iterdir())

    for key in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=key["Key"])
    assert fetch(uri, commit, tmp_path / "cache") == folder  # a commit stays what it is: nothing is asked again
    with pytest.raises(UserError, match="dvc push"):
        fetch(uri, commit, tmp_path / "other")
    with pytest.raises(UserError, match="no revision 'v3'"):
        pin(uri, "v3")


@pytest.mark.parametrize("uri", ["dvc+https://host/repo.git", "dvc+#data", "dvc+https://host/r.git#../data"])
def test_what_names_no_data_under_dvc_is_refused(uri, tmp_path) -> None:
    with pytest.raises(UserError, match="names no data under DVC"):
        fetch(uri, "v1", tmp_path)


def test_a_revision_must_be_named(tmp_path) -> None:
    with pytest.raises(UserError, match="revision"):
        fetch("dvc+https://host/repo.git#data", None, tmp_path)
