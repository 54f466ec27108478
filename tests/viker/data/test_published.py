"""The small benchmarks of the tests are the published ones, scaled down."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.viker.data import mllmu_data, umu_data
from tests.viker.data.clear_data import FACTOR, write_clear
from tests.viker.data.mllmu_data import write_mllmu
from tests.viker.data.published import CLEAR, CLEAR_FIRST_COMMITS, MLLMU, UMU, scaled
from tests.viker.data.umu_data import write_umu

WHOLE_PEOPLE = {"forget01", "forget05", "retain99", "retain95"}
"""Configurations of a share of CLEAR's people that is no whole person when scaled down: one is forgotten there."""


def contents(folder: Path, published: dict) -> dict[str, tuple]:
    """Return of each configuration its columns with their types, and how many rows and shards it has."""
    found = {}
    for name, one in published.items():
        paths = sorted((folder / (one.folder or name)).iterdir())
        tables = [pq.read_table(path) for path in paths]
        assert all(table.schema.equals(one.columns) for table in tables)
        found[name] = (sum(table.num_rows for table in tables), len(paths))
    assert {path.name for path in folder.iterdir()} == {one.folder or name for name, one in published.items()}
    return found


@pytest.mark.parametrize(("first_commits", "published"), [(False, CLEAR), (True, CLEAR_FIRST_COMMITS)])
def test_clear_has_the_published_configurations(tmp_path, first_commits, published):
    found = contents(write_clear(tmp_path / "clear", first_commits=first_commits), published)
    for name, one in published.items():
        if not name.startswith(tuple(WHOLE_PEOPLE)) and name != "forget10_perturbed":
            assert found[name] == (scaled(one.rows, FACTOR), one.shards), name
    assert found["forget10_perturbed"][0] == found["forget10"][0] - 1


def test_mllmu_bench_has_the_published_configurations(tmp_path):
    found = contents(write_mllmu(tmp_path / "mllmu"), MLLMU)
    for name, one in MLLMU.items():
        if not name.endswith(("_15", "_85", "_95")):  # they end in half a person
            assert found[name] == (scaled(one.rows, mllmu_data.FACTOR), one.shards), name
    assert found["forget_15"][0] + found["retain_85"][0] == found["Full_Set"][0]


def test_umu_bench_has_the_published_configurations(tmp_path):
    found = contents(write_umu(tmp_path / "umu"), UMU)
    assert found == {name: (scaled(one.rows, umu_data.FACTOR), one.shards) for name, one in UMU.items()}


def test_columns_that_came_later_are_not_in_clears_first_commits():
    assert not any("name" in one.columns.names for one in CLEAR_FIRST_COMMITS.values())
    assert not any("perturbed_names" in one.columns.names for one in CLEAR_FIRST_COMMITS.values())
    assert CLEAR_FIRST_COMMITS["real_faces"].columns.names == ["image", "answer", "options"]
    assert CLEAR_FIRST_COMMITS["real_world"] == CLEAR["real_world"]
    assert not any("name" in one.columns.names for name, one in CLEAR.items() if name.endswith("+tofu"))
