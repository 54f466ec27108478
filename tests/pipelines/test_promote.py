"""``viker promote``: what is refused, what is forced, and which requests are then done."""

import json
from datetime import date
from pathlib import Path

import pytest
import time_machine
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.registry import put_aliases
from viker.core.errors import UserError
from viker.data.requests import read_requests


@pytest.fixture
def project(history, monkeypatch) -> Path:
    monkeypatch.chdir(history.folder)
    folder = history.folder / "requests"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return history.folder


def request(name: str, *people: str, version: int | None = None) -> None:
    done = f"carried_out: {{date: 2026-11-30, version: {version}}}\n" if version else ""
    text = f"id: {name}\ndate: 2026-11-24\npeople: {list(people)}\nreason: erasure\ndeadline: 2026-12-24\n{done}"
    Path(f"requests/{name}.yaml").write_text(text)


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def done() -> dict[str, int]:
    return {one.id: one.carried_out.version for one in read_requests(Path("requests")).values() if one.carried_out}


def test_a_promotion_says_what_it_replaced_and_marks_its_requests_as_done(history, project):
    put_aliases(history, {"champion": 1})
    request("r1", "001")
    request("r2", "002")
    request("r3", "009")
    with time_machine.travel("2026-11-30 12:00", tick=False):
        said = call("promote", "2")
    assert f"{history.name} version 2 is the champion; before it: version 1." in said
    assert done() == {"r1": 2, "r2": 2}
    assert next(iter(read_requests(Path("requests")).values())).carried_out.date == date(2026, 11, 30)


def test_what_was_promoted_and_rolled_back_as_json(history, project):
    put_aliases(history, {"champion": 1})
    request("r1", "001")
    request("r2", "002", "010")
    told = json.loads(call("promote", "2", "--json"))
    assert (told["model"], told["champion"], told["replaces"], told["moved"]) == (history.name, 2, 1, True)
    assert told["overrode"] == [] and told["requests"] == [
        {"id": "r1", "carried_out": True, "missing": []},
        {"id": "r2", "carried_out": False, "missing": ["010"]},
    ]
    told = json.loads(call("rollback", "--force", "--reason", "it breaks the product", "--json"))
    assert (told["champion"], told["replaces"], told["reason"]) == (1, 2, "it breaks the product") and told["overrode"]


def test_the_same_again_changes_nothing(history, project):
    put_aliases(history, {"champion": 1})
    request("r1", "001")
    call("promote", "2")
    before = Path("requests/r1.yaml").read_bytes()
    assert "version 2 is the champion already" in call("promote", "champion")
    assert Path("requests/r1.yaml").read_bytes() == before and history.aliases()["previous"] == 1


def test_requests_stay_as_they_are_where_that_is_asked_or_nothing_was_promoted(history, project):
    request("r1", "001")
    request("r4", "004")
    call("promote", "2", "--no-done")
    with pytest.raises(UserError, match="version 4 does not forget 001, 002 of the requests r1, r2"):
        call("promote", "candidate")
    assert done() == {}


def test_a_request_that_names_more_people_by_now_is_not_marked(history, project):
    request("r2", "002", "010")
    assert "request r2: not marked as done: it names 010, not forgotten by version 2" in call("promote", "2")
    assert done() == {}


def test_what_is_forced_is_said_and_recorded(history, project):
    said = call("promote", "4", "--force", "--reason", "court order 7")
    assert "Forced, against: version 4 does not forget 001, 002" in said and "court order 7" in said
    record = json.loads(Path("metrics/register.json").read_text())
    assert record["promotion"]["reason"] == "court order 7" and "champion" in record["aliases"]


@pytest.mark.parametrize("arguments", [["--force"], ["--reason", "because"], ["--force", "--reason", " "]])
def test_force_and_reason_go_together(history, project, arguments):
    result = CliRunner().invoke(app, ["promote", "4", *arguments])
    assert result.exit_code == 2 and "go together" in result.output
    assert history.aliases()["champion"] == 2


def test_another_policy_in_params_makes_the_verdict_stale(history, project, tmp_path):
    yaml = YAML()
    values = yaml.load(project / "params.yaml")
    values["gate"]["policy"] = "strict"
    path = tmp_path / "params.yaml"
    yaml.dump(values, path)
    put_aliases(history, {"champion": 1})
    with pytest.raises(UserError, match=r"stale: it was judged by the policy .* the policy 'strict'"):
        call("promote", "2", "--params", str(path))


def test_an_unknown_version_is_an_error_that_lists_what_there_is(history, project):
    with pytest.raises(UserError, match=r"'9' is no version of .*Versions: 1, 2, 3, 4; aliases: candidate \(4\)"):
        call("promote", "9")


def test_a_rollback_names_the_people_who_would_be_known_again(history, project):
    request("r2", "002", version=2)
    with pytest.raises(UserError, match=r"version 1 does not forget 002 of the requests r2, carried out since"):
        call("rollback")
    said = call("rollback", "--force", "--reason", "the adapter breaks the product")
    assert "version 1 is the champion again, replacing version 2" in said
    assert "Take 'carried_out' out of the requests" in said
    assert history.aliases() == {"candidate": 4, "champion": 1}


def test_a_rollback_that_brings_nobody_back_needs_no_force(history, project):
    put_aliases(history, {"champion": 1, "previous": 2})
    assert "version 2 is the champion again" in call("rollback")


def test_the_status_shows_aliases_requests_and_verdicts(history, project):
    request("r2", "002")
    request("r9", "009")
    state = json.loads(call("status", "--json"))
    assert (state["champion"]["version"], state["candidate"]["version"], state["previous"]["version"]) == (2, 4, 1)
    assert [(one["version"], one["verdict"], one["leakage"]) for one in state["verdicts"]] == [
        (4, "pass", 0.05),
        (3, "fail", 0.4),
        (2, "pass", 0.05),
        (1, "pass", 0.05),
    ]
    assert [(one["id"], one["carried_by"]) for one in state["requests"]] == [("r2", "champion"), ("r9", None)]
    assert state["champion"]["requests"] == ["r1", "r2"]


def test_the_status_is_one_screen_and_says_what_was_forced(history, project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    request("r2", "002")
    call("promote", "4", "--force", "--reason", "court order 7", "--no-done")
    screen = call("status")
    assert len(screen.splitlines()) <= 24
    for text in ("version 4, champion since", "the champion was forced: court order 7", "r2", "policy.yaml", "fail"):
        assert text in screen, screen
    call("promote", "2", "--force", "--reason", "back", "--no-done")
    assert "'viker promote champion' marks them as done" in call("status")


def test_without_a_version_the_status_says_how_to_get_one(work, monkeypatch):
    monkeypatch.chdir(work.folder)
    screen = call("status")
    assert "no version yet: run 'dvc repro'" in screen and "no pending forget request" in screen
    with pytest.raises(UserError, match=r"'champion' is no version of .*Versions: none; aliases: none"):
        call("promote", "champion")
    with pytest.raises(UserError, match="has no version before the champion"):
        call("rollback")
