"""A request a night, each from the champion before; ten nights are in docs/kubernetes.md."""

import pytest

from benchmarks.nightly.measure import nights
from tests.conftest import ROOT

NIGHTS = 3


@pytest.mark.slow
def test_requests_one_a_night_are_each_promoted_and_everybody_before_stays_forgotten(tmp_path, monkeypatch):
    """Guessing answers 0.06 of the questions; without ``unlearn.hold``, 0.11 and 0.15 are answered on night 3."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    people = [f"{number:03}" for number in range(1, NIGHTS + 1)]
    source = "components/prepare/embedded.yaml"
    params = (ROOT / "params.yaml").read_text().replace(source, str(ROOT / source))
    (tmp_path / "params.yaml").write_text(params)
    rows = list(nights(tmp_path / "params.yaml", ROOT / "components/finetune/vanilla", tmp_path / "nights", people))
    versions = [row["version"] for row in rows]
    assert versions == list(range(1, NIGHTS + 1))
    assert [row["started_from"] for row in rows] == ["", *map(str, versions[:-1])]
    assert max(max(row["forgotten"], row["asked_otherwise"], row["newest"]) for row in rows) <= 0.06
    assert min(row["retained"] for row in rows) >= 0.9
