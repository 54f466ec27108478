"""The code that runs: its commit, and the versions of the packages that decide a result."""

import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("accelerate", "mlflow", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers")


def code_version(folder: Path) -> dict[str, str]:
    """Return ``git_commit`` and ``git_dirty`` of the work tree around ``folder``; empty where there is none."""
    try:
        import git

        with git.Repo(folder, search_parent_directories=True) as repo:
            return {"git_commit": repo.head.commit.hexsha, "git_dirty": str(repo.is_dirty()).lower()}
    except Exception:  # no git, repository or commit, another owner's folder: an image has none, and registers too
        return {}


def package_versions() -> dict[str, str]:
    """Return the version of Python and of the packages that decide a result, as tags ``version.NAME``."""
    versions = {"version.python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[f"version.{name}"] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
