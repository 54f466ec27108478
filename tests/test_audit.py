"""Licences of what is installed are allowed ones; a database of vulnerabilities that doesn't answer is said."""

import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution, distributions
from pathlib import Path

import pytest

from tests.audit import REVIEWED, is_allowed, not_allowed

ROOT = Path(__file__).parents[1]


def package(folder: Path, metadata: str) -> Distribution:
    place = folder / "one-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.4\nName: one\nVersion: 1.0\n{metadata}\n")
    return PathDistribution(place)


def test_every_installed_package_has_a_licence_that_is_allowed_or_was_looked_at() -> None:
    assert sorted(set(not_allowed(distributions()))) == []


def test_each_review_is_needed() -> None:
    installed = {one.metadata["Name"]: one for one in distributions()}
    needless = [name for name in REVIEWED if name in installed and is_allowed(installed[name])]
    assert needless == []


@pytest.mark.parametrize(
    ("metadata", "allowed"),
    [
        ("License-Expression: Apache-2.0 OR GPL-2.0-or-later", True),
        ("License-Expression: MPL-2.0 AND (Apache-2.0 OR GPL-3.0)", True),
        ("License-Expression: MIT AND GPL-3.0", False),
        ("License-Expression: AGPL-3.0", False),
        ("Classifier: License :: OSI Approved :: BSD License", True),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("Classifier: License :: OSI Approved\nLicense: MIT", True),
        ("License: Proprietary", False),
        ("Summary: no licence at all", False),
    ],
)
def test_a_licence_is_allowed_or_not(metadata: str, allowed: bool, tmp_path: Path) -> None:
    assert (list(not_allowed([package(tmp_path, metadata)])) == []) == allowed


def test_a_database_that_does_not_answer_is_said_and_is_no_failure(monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    done = subprocess.run([sys.executable, "-m", "tests.audit"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "licences: all allowed" in done.stdout
    assert "vulnerabilities: NOT AUDITED" in done.stdout and "api.osv.dev" in done.stdout
