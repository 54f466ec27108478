"""Before a run in Kubeflow: is there work, and with which values?"""

from pathlib import Path

import pytest

from components.contract.params import Params, load_params, params_model
from components.prepare.resolve import resolve
from components.register.collect import command as collect
from components.register.collect import read_files
from viker.core.errors import UserError
from viker.core.files import sha256_json
from viker.data.forget_list import read_forget_list, with_requests
from viker.storage import state

ROOT = Path(__file__).parents[3]
REQUEST = "id: {}\ndate: 2026-11-01\npeople: ['{}']\nreason: erasure\ndeadline: 2026-12-01\n"
DONE = "carried_out: {date: 2026-11-02, version: 3}\n"


def params(**prepare: object) -> Params:
    values = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    values["prepare"] |= {"source": str(ROOT / "components/prepare/embedded.yaml")} | prepare
    return params_model().model_validate(values)


@pytest.fixture
def requests(tmp_path) -> Path:
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "old.yaml").write_text(REQUEST.format("old", "009") + DONE)
    return folder


def test_without_a_pending_request_there_is_no_work_where_only_requests_count(requests) -> None:
    resolved = resolve(params(requests=str(requests)), only_requests=True)
    assert (resolved["work"], resolved["requests"]) == ("no", [])
    assert resolve(params(requests=str(requests)), only_requests=False)["work"] == "yes"


def test_a_pending_request_or_people_named_are_work(requests) -> None:
    assert resolve(params(requests=str(requests), forget_ids=["001"]), only_requests=True)["work"] == "yes"
    (requests / "new.yaml").write_text(REQUEST.format("new", "001"))
    resolved = resolve(params(requests=str(requests)), only_requests=True)
    assert (resolved["work"], resolved["requests"]) == ("yes", ["new"])
    files = read_files(str(requests))
    assert set(files) == {"old.yaml", "new.yaml"}
    assert resolved["requests_sha256"] == sha256_json(files)


def test_a_broken_request_stops_the_run_before_anything_is_trained(requests) -> None:
    (requests / "broken.yaml").write_text("id: x\n")
    with pytest.raises(UserError, match=r"broken\.yaml"):
        resolve(params(requests=str(requests)), only_requests=True)


def test_a_stage_is_given_only_what_it_reads_so_that_the_cache_holds_where_other_sections_change(requests) -> None:
    before = resolve(params(requests=str(requests)), only_requests=False)
    changed = params(requests=str(requests))
    changed = changed.model_copy(update={"gate": changed.gate.model_copy(update={"rules": ["unlearned.x <= 1"]})})
    after = resolve(changed, only_requests=False)
    differs = {key for key in before if before[key] != after[key]}
    assert differs == {"gate", "register", "report"}
    assert "deploy" not in after["register"]


def test_prepare_reads_the_requests_that_were_found_and_not_what_came_since(requests, tmp_path) -> None:
    (requests / "new.yaml").write_text(REQUEST.format("new", "001"))
    resolved = resolve(params(requests=str(requests)), only_requests=True)
    pending = tmp_path / "pending.json"
    given = (str(requests), resolved["requests_sha256"], pending, tmp_path / "start")
    collect(*given)
    (requests / "later.yaml").write_text(REQUEST.format("later", "002"))
    with pytest.raises(UserError, match="added or changed while the run was starting"):
        collect(*given)
    with with_requests(params().prepare, pending) as section:
        forget_list = read_forget_list(section, Path())
    assert (forget_list.people, forget_list.gone) == (["001"], ["009"])


def test_the_state_changes_with_what_lies_at_the_source(s3, bucket) -> None:
    place = f"s3://{bucket}/data"
    s3.put_object(Bucket=bucket, Key="data/a", Body=b"1")
    first = state(place)
    assert state(place) == first
    s3.put_object(Bucket=bucket, Key="data/a", Body=b"2")
    assert state(place) != first


def test_an_empty_prefix_is_an_error_and_not_the_same_as_nothing_to_do(s3, bucket) -> None:
    with pytest.raises(UserError, match=r"prepare\.requests: .*nothing below"):
        resolve(params(requests=f"s3://{bucket}/request"), only_requests=True)
