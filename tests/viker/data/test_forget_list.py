"""What prepare does with forget requests: who is forgotten, who is gone, and what the manifest says."""

from datetime import date
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.prepare.run import run
from tests.conftest import prepare_params
from viker.core.errors import UserError
from viker.data.records import SPLITS, read_records
from viker.data.synthetic.generate import generate


@pytest.fixture(scope="module")
def benchmark(small_description, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("requests") / "benchmark"
    generate(small_description, folder, seed=1, forget_share=0.1)
    return folder


@pytest.fixture
def prepare(benchmark, tmp_path):
    """Prepare with the requests that were written; return the manifest and the people of each split."""

    def prepared(**changes: object):
        params = prepare_params(source=str(benchmark), requests=str(tmp_path / "requests"), **changes)
        manifest = run(params, 1, tmp_path / "prepared", tmp_path / "validation")
        return manifest, {s: {r.person_id for r in read_records(tmp_path / "prepared", s)} for s in SPLITS}

    return prepared


@pytest.fixture
def request_for(tmp_path):
    def write(name: str, *people: str, version: int = 0) -> Path:
        values = {"id": name, "date": date(2026, 11, 1), "people": list(people), "reason": "erasure"}
        values |= {"deadline": date(2026, 12, 1)}
        if version:
            values["carried_out"] = {"date": date(2026, 11, 9), "version": version}
        path = tmp_path / "requests" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        with path.open("w") as stream:
            YAML().dump(values, stream)
        return path

    return write


def test_the_people_of_all_pending_requests_are_forgotten(prepare, request_for):
    request_for("a", "001", "002")
    request_for("b", "002", "003")
    manifest, people = prepare()
    assert people["forget"] == people["test"] == {"001", "002", "003"} == set(manifest["forget_ids"])
    assert manifest["requests"] == ["a", "b"] and manifest["gone"] == []


def test_without_a_pending_request_it_is_the_benchmarks_own_split(prepare):
    manifest, people = prepare()
    assert len(people["forget"]) == 1 and manifest["requests"] == []


def test_the_people_of_a_carried_out_request_are_in_no_split(prepare, request_for):
    request_for("a", "001", "002", version=3)
    request_for("b", "003", "001")
    manifest, people = prepare()
    assert people["forget"] == {"003"}
    assert not {"001", "002"} & set().union(*people.values())
    assert manifest["gone"] == ["001", "002"] and manifest["requests"] == ["b"]


def test_named_ids_go_before_requests_which_are_carried_by_the_run_only_if_it_forgets_all_their_people(
    prepare, request_for
):
    request_for("a", "001", "002")
    request_for("b", "003")
    manifest, people = prepare(forget_ids=["003", "004"])
    assert people["forget"] == {"003", "004"} and manifest["requests"] == ["b"]


def test_an_unknown_person_is_named_with_the_file_and_those_like_it(prepare, request_for, tmp_path):
    path = request_for("a", "001", "0011")
    with pytest.raises(UserError, match=rf"^{path}: 'people' names '0011', an ID that nobody .* did you mean .*'001'"):
        prepare()
    assert not (tmp_path / "prepared").exists()


def test_an_unknown_named_id_is_the_parameters(prepare, request_for):
    request_for("a", "0011")
    with pytest.raises(UserError, match=r"^prepare\.forget_ids names '0011'"):
        prepare(forget_ids=["0011"])


def test_when_everyone_named_is_gone_nobody_is_forgotten_and_the_people_are_in_no_split(prepare, request_for):
    benchmarks_own = set(prepare()[0]["forget_ids"])
    request_for("a", *benchmarks_own, version=1)
    manifest, people = prepare()
    assert manifest["forget_ids"] == [] and manifest["gone"] == sorted(benchmarks_own)
    assert people["forget"] == people["test"] == set()
    assert people["retain"] and not benchmarks_own & people["retain"]
    suites = manifest["validation"]["suites"]
    assert all(checks["passed"] == checks["expectations"] for checks in suites.values())


def test_a_pending_request_for_people_who_are_gone_is_fulfilled(prepare, request_for):
    request_for("a", "001", version=1)
    request_for("b", "001")
    manifest, people = prepare()
    assert manifest["forget_ids"] == [] and manifest["requests"] == ["b"]
    assert "001" not in set().union(*people.values())


def test_if_everybody_is_gone_there_is_no_data_left(prepare, request_for):
    request_for("a", *set().union(*prepare()[1].values()), version=1)
    with pytest.raises(UserError, match=r"everybody in the data was forgotten.*nobody is left to retain"):
        prepare()
