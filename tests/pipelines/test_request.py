"""``viker request``: writes, shows and closes forget requests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import time_machine
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipelines.cli import request
from pipelines.cli.request import app
from viker.core.errors import UserError
from viker.data.requests import read_requests

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 24)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Iterator[Path]:
    """A project at noon of TODAY: a run past midnight would otherwise see two days."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    with time_machine.travel(f"{TODAY} 12:00", tick=False):
        yield tmp_path


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def the_requests():
    return list(read_requests(Path("requests")).values())


def prepare_from(source: str, prepared: Path, folder: Path) -> None:
    manifest = json.loads((prepared / "manifest.json").read_text()) | {"source": source}
    folder.mkdir(parents=True)
    for split in ("forget", "retain"):
        (folder / f"{split}.parquet").write_bytes((prepared / f"{split}.parquet").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_request_is_due_in_30_days_and_has_the_next_id_of_today():
    call("add", "001", "017", "--reason", "erasure")
    call("add", "003", "--reason", "minor")
    first, second = the_requests()
    assert (first.id, second.id) == (f"{TODAY}-1", f"{TODAY}-2")
    assert first.people == ["001", "017"] and first.date == TODAY
    assert first.deadline == TODAY + timedelta(days=30)


def test_what_was_added_and_done_as_json():
    told = json.loads(call("add", "001", "017", "--reason", "erasure", "--id", "court-7", "--json"))
    assert (told["id"], told["people"], told["days_left"]) == ("court-7", ["001", "017"], 30)
    assert told["file"] == "requests/court-7.yaml" and told["people_checked"] is False
    told = json.loads(call("done", "court-7", "--version", "3", "--json"))
    assert told["carried_out"]["version"] == 3 and told["state"] == "carried out"


def test_deadline_and_id_are_taken_as_given():
    call("add", "001", "--reason", "legal_order", "--deadline", str(TODAY + timedelta(days=7)), "--id", "court-7")
    (request,) = the_requests()
    assert (request.id, request.deadline) == ("court-7", TODAY + timedelta(days=7))
    assert Path("requests/court-7.yaml").is_file()


def test_every_request_that_is_confirmed_is_there_when_many_are_added_at_once(project):
    command = [sys.executable, "-m", "pipelines.cli.main", "request", "add", "--reason", "erasure"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    adds = [subprocess.Popen([*command, f"p{n}"], stdout=subprocess.PIPE, text=True, env=environment) for n in range(6)]
    said = [process.communicate()[0] for process in adds]
    assert all(process.returncode == 0 for process in adds)
    files = {text.split(":")[0] for text in said}
    assert len(files) == 6 and files == {str(path) for path in read_requests(Path("requests"))}
    assert {person for request in the_requests() for person in request.people} == {f"p{n}" for n in range(6)}


def test_a_file_that_appears_in_between_is_never_written_over(project, monkeypatch):
    """As on a network share, where another machine doesn't see the lock."""
    Path("requests").mkdir()
    theirs = Path(f"requests/{TODAY}-1.yaml")
    real = request.read_requests

    def read_then_lose(folder: Path):
        requests = real(folder)
        if not theirs.exists():
            theirs.write_text("theirs")
        return {} if len(requests) == 0 else requests

    monkeypatch.setattr(request, "read_requests", lambda folder: {} if theirs.exists() else read_then_lose(folder))
    assert f"{TODAY}-2.yaml: people 1" in call("add", "001", "--reason", "erasure")
    assert theirs.read_text() == "theirs"
    with pytest.raises(UserError, match="there is a request of that ID"):
        call("add", "001", "--reason", "erasure", "--id", f"{TODAY}-1")
    assert theirs.read_text() == "theirs"


def test_the_deadline_counts_from_the_day_of_receipt(project):
    received = TODAY - timedelta(days=40)
    said = call("add", "001", "--reason", "erasure", "--date", str(received))
    (one,) = the_requests()
    assert (one.date, one.deadline, one.id) == (received, received + timedelta(days=30), f"{received}-1")
    assert "which has passed: 10 days ago" in said


def test_ids_that_differ_in_case_are_the_same(project):
    call("add", "001", "--reason", "erasure", "--id", "Court-7")
    with pytest.raises(UserError, match="--id is 'court-7': there is a request of that ID"):
        call("add", "001", "--reason", "erasure", "--id", "court-7")


def test_a_remote_folder_is_not_written_to(project):
    text = Path("params.yaml").read_text().replace("requests: requests", "requests: s3://bucket/requests")
    Path("params.yaml").write_text(text)
    with pytest.raises(UserError, match="requests are written to local folders"):
        call("add", "001", "--reason", "erasure")
    assert not Path("s3:").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--date", "yesterday"], "--date is 'yesterday': expected a day such as"),
        (["--date", str(TODAY + timedelta(days=1))], r"--date is '.*', after today"),
        (["--deadline", "tomorrow"], "--deadline is 'tomorrow': expected a day such as"),
        (["--deadline", "2020-01-01"], "'deadline' 2020-01-01 is before 'date'"),
        (["--id", "../outside"], "'id' is '../outside'"),
        (["--id", "taken"], "--id is 'taken': there is a request of that ID"),
    ],
)
def test_a_wrong_request_is_not_written(arguments, said):
    call("add", "001", "--reason", "erasure", "--id", "taken")
    with pytest.raises(UserError, match=said):
        call("add", "002", "--reason", "erasure", *arguments)
    assert [path.name for path in Path("requests").iterdir()] == ["taken.yaml"]


def test_an_unknown_reason_is_a_usage_error_that_lists_the_codes():
    result = CliRunner().invoke(app, ["add", "001", "--reason", "because"], env={"COLUMNS": "200"})
    assert result.exit_code == 2 and "erasure" in result.output and not Path("requests").exists()


def test_people_are_looked_up_in_data_prepared_from_the_same_source(prepared):
    prepare_from("components/prepare/embedded.yaml", prepared, Path("data/prepared"))
    with pytest.raises(UserError, match=r"'0011' is an ID that nobody .*'001'.*viker prepare"):
        call("add", "0011", "--reason", "erasure")
    assert "prepare will check" not in call("add", "001", "--reason", "erasure")


def test_data_of_another_source_says_nothing_of_the_people(prepared):
    prepare_from("elsewhere", prepared, Path("data/prepared"))
    assert "prepare will check" in call("add", "nobody", "--reason", "erasure")


def test_the_list_shows_the_most_urgent_first_and_marks_what_is_overdue():
    call("add", "001", "--reason", "erasure", "--id", "later")
    call("add", "002", "--reason", "erasure", "--id", "soon", "--deadline", str(TODAY + timedelta(days=2)))
    call("add", "003", "--reason", "erasure", "--id", "done")
    call("done", "done", "--version", "4")
    text = Path("requests/soon.yaml").read_text().replace(str(TODAY + timedelta(days=2)), "2026-01-02")
    Path("requests/soon.yaml").write_text(text.replace(str(TODAY), "2026-01-01"))
    rows = [line for line in call("list").splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["soon", "later", "done"]
    assert "overdue" in rows[0] and "pending" in rows[1] and f"carried out {TODAY}, version 4" in rows[2]


def test_done_marks_a_request_as_carried_out_and_keeps_its_comments():
    call("add", "001", "--reason", "erasure", "--id", "r")
    Path("requests/r.yaml").write_text(Path("requests/r.yaml").read_text() + "# by letter\n")
    call("done", "r", "--version", "3")
    (request,) = the_requests()
    assert request.carried_out is not None
    assert (request.carried_out.date, request.carried_out.version) == (TODAY, 3)
    assert "# by letter" in Path("requests/r.yaml").read_text()
    with pytest.raises(UserError, match=r"carried out on .* by version 3 already"):
        call("done", "r", "--version", "4")


def test_an_unknown_id_is_named_with_those_like_it():
    call("add", "001", "--reason", "erasure", "--id", "letter-1")
    for arguments in (["done", "leter-1", "--version", "1"], ["status", "leter-1"]):
        with pytest.raises(UserError, match="no request 'leter-1' in requests; did you mean 'letter-1'"):
            call(*arguments)


def test_the_status_says_what_is_left_and_whether_the_data_carries_it(prepared):
    prepare_from("components/prepare/embedded.yaml", prepared, Path("data/prepared"))
    call("add", "001", "--reason", "erasure", "--id", "a")
    call("add", "002", "--reason", "erasure", "--id", "b")
    manifest = Path("data/prepared/manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"requests": ["b"]}))
    rows = json.loads(call("status", "--json"))
    assert [(row["id"], row["state"], row["days_left"], row["prepared"]) for row in rows] == [
        ("a", "pending", 30, False),
        ("b", "pending", 30, True),
    ]
    assert json.loads(call("status", "b", "--json")) == rows[1:]
    assert "days left    30" in call("status", "b")


def test_a_file_that_is_no_request_is_an_error_not_left_out():
    Path("requests").mkdir()
    with Path("requests/x.yaml").open("w") as stream:
        YAML().dump({"id": "x"}, stream)
    with pytest.raises(UserError, match=r"requests/x\.yaml: missing key 'date'"):
        call("list")
