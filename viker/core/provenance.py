"""Provenance: the commit of the running code and the versions of the packages that decide a result."""

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from viker.core.files import sha256_bytes, sha256_path
from viker.core.settings import read_yaml

PACKAGES = ("accelerate", "mlflow", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers")
CODE = ("viker", "components", "pipelines", "requests", "dvc.yaml")
"""What decides a run besides params.yaml, which is compared by value."""


def code_version(folder: Path) -> dict[str, str]:
    """Return ``git_commit`` and ``git_dirty`` of the work tree around ``folder``; empty if there is none.

    Changes to dvc.lock, which a run writes itself, don't count as dirty. An image has VIKER_COMMIT in place of a tree.
    """
    commit, _, changed = os.environ.get("VIKER_COMMIT", "unknown").partition("-")
    try:
        import git

        with git.Repo(folder, search_parent_directories=True) as repo:
            dirty = repo.git.status("--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)dvc.lock")
            return {"git_commit": repo.head.commit.hexsha, "git_dirty": str(bool(dirty)).lower()}
    except Exception:  # no git, repository or commit, another owner's folder: an image has none, and registers too
        return {} if commit == "unknown" else {"git_commit": commit, "git_dirty": str(changed == "dirty").lower()}


def code_changes(folder: Path) -> str:
    """Return a hash of the uncommitted changes to code and requests; "" for none, or without git."""
    try:
        import git

        with git.Repo(folder, search_parent_directories=True) as repo:
            changed = repo.git.diff("HEAD", "--", *CODE)
            new = repo.git.ls_files("--others", "--exclude-standard", "--", *CODE).splitlines()
            root = Path(repo.working_dir)
            added = [f"{name} {sha256_path(root / name)}" for name in new if not (root / name).is_symlink()]
    except Exception:  # no git, repository or commit: there is nothing to differ from
        return ""
    return sha256_bytes("\n".join([changed, *added]).encode()) if changed or added else ""


def dvc_hashes(folder: Path) -> dict[str, str]:
    """Return DVC's hash of the prepared data, and of an imported source, as tags; empty where there is none."""
    with suppress(Exception):  # no lock, or one of another shape: that is DVC's business
        lock = read_yaml(folder / "dvc.lock", "")["stages"]["prepare"]
        entries = [("dvc.data", entry) for entry in lock["outs"]] + [("dvc.source", entry) for entry in lock["deps"]]
        return {tag: str(entry["md5"]) for tag, entry in entries if entry["path"].startswith("data/")}
    return {}


def file_sizes(path: Path) -> list[Any]:
    """Return names and sizes of the files at a path: hashing gigabytes just to identify a run would take too long."""
    if path.is_file():
        return [path.stat().st_size]
    return sorted([p.relative_to(path).as_posix(), p.stat().st_size] for p in path.rglob("*") if p.is_file())


def package_versions() -> dict[str, str]:
    """Return the version of Python and of the packages that decide a result, as tags ``version.NAME``."""
    versions = {"version.python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[f"version.{name}"] = metadata.version(name)
    return versions
