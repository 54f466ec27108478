"""`viker pipeline run`, `schedule` and `status` against a server that speaks Kubeflow Pipelines' API."""

import functools
import json

import pytest
from typer.testing import CliRunner

from components.contract.deployment import DeployParams
from pipelines.cli.pipeline import app
from pipelines.kubeflow import compile as compiling
from pipelines.kubeflow import host as hosts
from tests.pipelines.kfp_host import FakeHost, problems
from viker.core.errors import UserError

BUSY = (503, {"message": "try later"}, False)
compile_now = compiling.specification


@functools.cache
def compile_once(deploy: str) -> dict:
    """kfp looks through the whole stack at every setting of a task, and below pytest that is long."""
    return compile_now(DeployParams.model_validate_json(deploy))


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch) -> None:
    monkeypatch.setattr(compiling, "specification", lambda deploy: compile_once(deploy.model_dump_json()))


@pytest.fixture
def kubeflow(monkeypatch):
    server = FakeHost()
    monkeypatch.setenv("KFP_ENDPOINT", server.start())
    monkeypatch.delenv("KFP_TOKEN", raising=False)
    monkeypatch.delenv("KFP_NAMESPACE", raising=False)
    monkeypatch.setattr(hosts.Host.__init__, "__defaults__", (0.01,))
    yield server
    server.stop()
    assert server.refused == []


def viker(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def failing(operation: str, *answers: tuple):
    left = list(answers)
    return lambda name: left.pop(0) if operation in name and left else None


def run(*arguments: str):
    return viker("run", "--name", "first", "--interval", "0.01", *arguments)


def schedule(*arguments: str):
    return viker("schedule", "nightly", "--cron", "0 3 * * *", "--requests", "s3://b/requests", *arguments)


PASSED = {"run": "SUCCEEDED", "resolve": "SUCCEEDED", "register": "SUCCEEDED", "close": "SUCCEEDED"}


def test_a_run_is_submitted_with_the_whole_of_params_yaml_and_what_was_asked_for(kubeflow) -> None:
    kubeflow.states = [PASSED]
    result = run(
        "-S", "unlearn.method.lambda=0.5", "--source", "s3://b/data", "--model", "org/name", "--experiment", "e"
    )
    assert result.exit_code == 0, result.output
    (made,) = kubeflow.runs.values()
    given = made["runtime_config"]["parameters"]
    assert given["params"]["unlearn"]["method"]["lambda"] == 0.5
    assert given["params"]["finetune"]["deployed_model"] == "components/finetune/vanilla"
    assert "deploy" not in given["params"]
    assert (given["source"], given["model"], given["only_requests"]) == ("s3://b/data", "org/name", False)
    assert "policy" not in given
    assert made["display_name"] == "first"
    assert [e["display_name"] for e in kubeflow.experiments.values()] == ["e"]
    assert made["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "viker"
    executors = made["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert "exec-unlearn" in executors


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (PASSED, 0, "passed"),
        ({"run": "SUCCEEDED", "resolve": "SUCCEEDED", "gate": "SUCCEEDED", "register": "SUCCEEDED"}, 3, "gate failed"),
        ({"run": "SUCCEEDED", "resolve": "SUCCEEDED", "register": "SUCCEEDED", "close": "SKIPPED"}, 3, "gate failed"),
        ({"run": "SUCCEEDED", "resolve": "SUCCEEDED", "finish": "SUCCEEDED"}, 0, "nothing to do"),
    ],
)
def test_the_exit_code_is_the_outcome(kubeflow, state, code, said) -> None:
    kubeflow.states = [state]
    result = run()
    assert result.exit_code == code and said in result.output


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_failed_is_an_error(kubeflow, state) -> None:
    kubeflow.states = [{"run": state, "resolve": "FAILED"}]
    result = run()
    assert isinstance(result.exception, UserError) and state in str(result.exception)


def test_waiting_shows_each_change_of_a_task_once(kubeflow) -> None:
    running = {"run": "RUNNING", "resolve": "RUNNING"}
    kubeflow.states = [running, running, {"run": "RUNNING", "resolve": "SUCCEEDED", "prepare": "RUNNING"}, PASSED]
    lines = run().output.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["resolve", "running"],
        ["resolve", "succeeded"],
        ["prepare", "running"],
    ]
    assert not any("driver" in line for line in lines)


def test_waiting_ends_at_its_time_and_the_run_goes_on(kubeflow) -> None:
    kubeflow.states = [{"run": "RUNNING"}] * 100
    result = run("--timeout", "0.00002")
    assert "still RUNNING" in str(result.exception)
    assert "viker pipeline status" in str(result.exception)


def test_without_waiting_nothing_is_asked_after_the_submission(kubeflow) -> None:
    assert run("--no-wait").exit_code == 0
    assert kubeflow.seen[-1] == "run_service_create_run"


def test_a_name_that_is_taken_is_refused(kubeflow) -> None:
    run("--no-wait")
    assert "--name" in str(run("--no-wait").exception)
    assert len(kubeflow.runs) == 1


def test_a_schedule_is_made_with_one_run_at_a_time_and_no_catching_up(kubeflow) -> None:
    result = schedule()
    assert "made" in result.output, result.exception
    (made,) = kubeflow.schedules.values()
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == ("1", True, "ENABLE")
    assert made["runtime_config"]["parameters"]["only_requests"] is True
    assert made["runtime_config"]["parameters"]["requests"] == "s3://b/requests"


def test_the_same_schedule_again_changes_nothing(kubeflow) -> None:
    schedule()
    before = json.dumps(kubeflow.schedules)
    assert "unchanged" in schedule().output
    assert json.dumps(kubeflow.schedules) == before


@pytest.mark.parametrize(
    "change", [("-S", "unlearn.method.lambda=0.7"), ("--cron", "0 4 * * *"), ("--service-account", "other")]
)
def test_a_changed_schedule_takes_the_place_of_the_old_which_is_stopped_first(kubeflow, change) -> None:
    schedule()
    (old,) = kubeflow.schedules
    kubeflow.seen.clear()
    assert "changed" in schedule(*change).output
    assert len(kubeflow.schedules) == 1
    assert old not in kubeflow.schedules
    writes = [name.split("_")[3] for name in kubeflow.seen if "recurring" in name and "list" not in name]
    assert writes == ["disable", "create", "delete"]


def test_a_schedule_is_paused_and_resumed_and_a_change_keeps_it_paused(kubeflow) -> None:
    schedule()
    assert "paused" in viker("schedule", "nightly", "--pause").output
    assert "unchanged" in viker("schedule", "nightly", "--pause").output
    assert [one["status"] for one in kubeflow.schedules.values()] == ["DISABLED"]
    schedule("--cron", "0 5 * * *")
    assert [one["status"] for one in kubeflow.schedules.values()] == ["DISABLED"]
    assert "resumed" in viker("schedule", "nightly", "--resume").output
    assert [one["status"] for one in kubeflow.schedules.values()] == ["ENABLED"]


def test_what_a_call_that_was_cut_off_left_behind_is_put_right_by_the_next(kubeflow) -> None:
    schedule()
    kubeflow.fail = failing("delete_recurring", (400, {"message": "no"}, False))
    assert schedule("--cron", "0 6 * * *").exception
    assert sorted(one["status"] for one in kubeflow.schedules.values()) == ["DISABLED", "ENABLED"]
    schedule("--cron", "0 6 * * *")
    assert [one["status"] for one in kubeflow.schedules.values()] == ["ENABLED"]


def test_schedules_of_other_names_and_experiments_are_left_alone(kubeflow) -> None:
    schedule()
    viker("schedule", "weekly", "--cron", "0 3 * * 0")
    schedule("--experiment", "other")
    assert len(kubeflow.schedules) == 3


def test_pausing_what_isnt_there_is_an_error(kubeflow) -> None:
    assert "no schedule 'nightly'" in str(viker("schedule", "nightly", "--pause").exception)


def test_a_busy_server_is_asked_again(kubeflow) -> None:
    kubeflow.states = [PASSED]
    kubeflow.fail = failing("get_run", BUSY, BUSY, (502, {}, False))
    assert run().exit_code == 0
    kubeflow.fail = lambda name: BUSY
    assert "503, try later after 4 attempts" in str(run().exception)


def test_a_run_is_started_once_though_the_answer_was_lost(kubeflow) -> None:
    kubeflow.fail = failing("create_run", (504, {}, True))
    assert run("--no-wait").exit_code == 0
    assert len(kubeflow.runs) == 1


def test_a_run_that_was_not_started_is_started_by_the_next_attempt(kubeflow) -> None:
    kubeflow.fail = failing("create_run", BUSY, BUSY)
    assert run("--no-wait").exit_code == 0
    assert kubeflow.seen.count("run_service_create_run") == 3
    assert len(kubeflow.runs) == 1


def test_a_schedule_is_made_once_though_the_answer_was_lost(kubeflow) -> None:
    kubeflow.fail = failing("create_recurring", (504, {}, True))
    assert schedule().exit_code == 0
    assert len(kubeflow.schedules) == 1


def test_an_experiment_that_someone_else_has_just_made_is_taken(kubeflow) -> None:
    kubeflow.fail = failing("create_experiment", (409, {"message": "already exists"}, True))
    assert run("--no-wait").exit_code == 0
    assert len(kubeflow.experiments) == 1


def test_another_conflict_is_an_error(kubeflow) -> None:
    kubeflow.fail = failing("create_run", (409, {"message": "conflicts"}, False))
    assert "refused (409, conflicts)" in str(run("--no-wait").exception)


def test_a_wrong_token_is_an_error_that_doesnt_repeat_it(kubeflow, monkeypatch) -> None:
    kubeflow.token = "right"
    monkeypatch.setenv("KFP_TOKEN", "wrong-value")
    message = str(run("--no-wait").exception)
    assert "access denied (401" in message
    assert "KFP_TOKEN" in message
    assert "wrong-value" not in message
    monkeypatch.setenv("KFP_TOKEN", "right")
    assert run("--no-wait").exit_code == 0


def test_the_namespace_goes_with_the_experiment(kubeflow, monkeypatch) -> None:
    monkeypatch.setenv("KFP_NAMESPACE", "team")
    assert run("--no-wait").exit_code == 0
    assert [e["namespace"] for e in kubeflow.experiments.values()] == ["team"]


def test_no_server_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(hosts.Host.__init__, "__defaults__", (0.001,))
    monkeypatch.setenv("KFP_ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9: no answer" in str(run("--no-wait").exception)


@pytest.mark.parametrize("endpoint", ["", "kubeflow.example.org"])
def test_without_an_address_nothing_is_tried(monkeypatch, endpoint) -> None:
    monkeypatch.setenv("KFP_ENDPOINT", endpoint)
    assert "KFP_ENDPOINT" in str(run().exception)


def test_status_of_a_run_and_of_all(kubeflow) -> None:
    run("--no-wait")
    schedule()
    (made,) = kubeflow.runs
    kubeflow.states = [{"run": "SUCCEEDED", "resolve": "SUCCEEDED", "register": "SUCCEEDED"}]
    result = viker("status", made)
    assert result.exit_code == 3 and "gate failed" in result.output
    listed = viker("status").output
    assert made in listed and "0 0 3 * * *" in listed and "ENABLED" in listed
    assert "no such thing" in str(viker("status", "unknown").exception)


def test_all_of_it_as_json(kubeflow) -> None:
    kubeflow.states = [PASSED]
    told = json.loads(run("--json").output)
    assert (told["name"], told["outcome"], told["tasks"]["register"]) == ("first", "passed", "SUCCEEDED")
    assert json.loads(viker("status", told["run"], "--json").output)["outcome"] == "passed"
    assert json.loads(schedule("--json").output)["schedule"] == "nightly"
    listed = json.loads(viker("status", "--json").output)
    assert (listed["runs"][0]["run"], listed["schedules"][0]["schedule"]) == (told["run"], "nightly")


def test_an_unknown_key_or_profile_is_refused_before_anything_is_sent(kubeflow) -> None:
    assert "lamda" in str(run("-S", "unlearn.method.lamda=1").exception)
    assert "NAME=VALUE" in str(run("-S", "unlearn").exception)
    assert "gpu-a100" in str(run("--profile", "gpu").exception)
    assert kubeflow.seen == []


def test_the_stand_in_refuses_what_the_description_doesnt_allow() -> None:
    assert problems({"display_name": "n", "max_concurrency": 1}, "V2beta1RecurringRun", "") == [
        ".max_concurrency: 1 is no string"
    ]
    assert problems({"mode": "ON", "nmae": "x"}, "V2beta1RecurringRun", "") == [
        ".nmae: unknown",
        ".mode: 'ON' is none of ['MODE_UNSPECIFIED', 'ENABLE', 'DISABLE']",
    ]
