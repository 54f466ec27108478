"""One whole run for all tests of what is kept of people, and copies of it to purge."""

import shutil
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.components.privacy.canaries import whole_run
from tests.shared import made_once


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A project after a run that forgot two people, whose requests are carried out."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VIKER_TRACKING", "VIKER_PRIVACY_DIR"):
            patch.delenv(name, raising=False)
        return made_once(tmp_path_factory, "canaries", whole_run)


@pytest.fixture(scope="module")
def guard_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def project(finished, tmp_path, guard_key, monkeypatch) -> Path:
    """A copy of that project, to work in."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("VIKER_PRIVACY_DIR", raising=False)
    monkeypatch.setenv("VIKER_GUARD_KEY", guard_key)
    return folder
