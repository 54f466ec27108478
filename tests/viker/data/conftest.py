"""A folder with params.yaml, in which the source 'benchmark' is a small table, or UMU-Bench."""

from pathlib import Path

import pytest

from tests.viker.data.records_data import write_jsonl
from tests.viker.data.test_broken_data import change
from tests.viker.data.umu_data import write_umu

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    change(source="benchmark")
    return tmp_path


@pytest.fixture
def mine(project) -> Path:
    write_jsonl(Path("benchmark"))
    return project


@pytest.fixture
def umu(project) -> Path:
    write_umu(Path("benchmark"))
    change(forget_share=0.05)
    return project
