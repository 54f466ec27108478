"""What the real launcher and backend do, and the pipeline that is compiled for them, by the double of both."""

import json

import pytest

from components.contract.kfp_task import inputs_key
from components.contract.params import load_params
from components.prepare.resolve import resolve
from components.register.collect import command as collect
from pipelines.kubeflow import compile as compiling
from tests.components.prepare.test_resolve import REQUEST, params
from tests.conftest import ROOT
from tests.kubeflow.backend import LOST, Backend
from tests.kubeflow.launcher import MAX_ARG_STRLEN
from tests.kubeflow.stand_ins import programs
from viker.core.files import sha256_json
from viker.data.requests import as_folder

HOUR = 3600
GPU = load_params(ROOT / "params.yaml").deploy.profiles["gpu-a100"]
COMPILED: dict[int, str] = {}


@pytest.fixture
def kubeflow(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "inspect.stack", lambda: [(None,) * 6] * 9
    )  # kfp asks for it at each setting: long below pytest

    def build(shares: int = 1, **stand_ins) -> Backend:
        if shares not in COMPILED:
            changes = [f"deploy.{key}_shares={shares}" for key in ("teacher", "evaluate")] + ["deploy.profile=gpu-a100"]
            _, deploy = compiling.load(ROOT / "params.yaml", changes)
            COMPILED[shares] = compiling.compiled(deploy)
        return Backend(COMPILED[shares], tmp_path / "kubeflow", programs(**stand_ins))

    return build


def takes(hours: float, code: int | str | None = 1, times: int = 99):
    """A program that takes so long and ends with ``code`` so many times, then well."""
    left = [times]

    def end(attempt):
        attempt.seconds = hours * HOUR
        left[0] -= 1
        return code if left[0] >= 0 else 0

    return end


# 1. The run's ID.


def test_every_run_has_an_id_of_its_own_and_the_cache_holds_all_the_same(kubeflow) -> None:
    backend = kubeflow()
    first, second = backend.run(), backend.run()
    for run in (first, second):
        assert run.state == "SUCCEEDED"
        assert {attempt.environment["VIKER_RUN"] for attempt in run.attempts} == {run.id}
        shared = {attempt.environment["VIKER_TRACKING_DIR"] for attempt in run.attempts}
        assert shared == {"/cache/tracking"}, "the images' own goes with the pod, and finish would know nothing"
        assert not [part for attempt in run.attempts for part in attempt.command if "{{$" in part]
        (last,) = run.of("finish")
        assert f"--run={run.id}" in last.command
    assert first.id != second.id
    assert second.ran() == {"resolve", "register", "promote", "close", "purge", "report", "finish"}


def test_two_runs_on_different_inputs_keep_their_state_apart_and_an_attempt_finds_that_of_the_last(kubeflow) -> None:
    backend = kubeflow(ends={"unlearn": takes(0.1, code=1, times=1)})
    first, again = backend.run().of("unlearn")
    assert "--state=/cache/unlearn/{inputs}" in first.command
    assert inputs_key(first.input) == inputs_key(again.input)
    backend.execute = programs({"unlearn": {"of": "another learning rate"}})
    (other,) = backend.run().of("unlearn")
    assert inputs_key(other.input) != inputs_key(first.input)


# 2. One request a night.


def test_unlearn_goes_on_from_the_champions_adapter(kubeflow) -> None:
    run = kubeflow(results={"champion": "3"}).run()
    (collecting,), (unlearning,) = run.of("collect"), run.of("unlearn")
    assert "--champion=3" in collecting.command
    assert f"--start={unlearning.inputs()['start']}" in unlearning.command


# 3. Retries.


def test_a_task_that_fails_after_hours_is_tried_again_as_often_as_it_may(kubeflow) -> None:
    run = kubeflow(ends={"unlearn": takes(20)}).run()
    assert len(run.of("unlearn")) == GPU.large.retries + 1
    assert run.state == "FAILED"
    assert "evaluate" not in run.ran()


def test_the_last_attempt_may_still_take_all_its_time(kubeflow) -> None:
    hours = GPU.large.minutes / 60 - 0.1
    run = kubeflow(ends={"unlearn": takes(hours, times=GPU.large.retries)}).run()
    assert [attempt.code for attempt in run.of("unlearn")] == [1] * GPU.large.retries + [0]
    assert run.state == "SUCCEEDED"


def test_what_would_fail_again_in_the_same_way_is_not_tried_again_on_a_gpu(kubeflow) -> None:
    run = kubeflow(results={"outcome": "components.unlearn: unlearn.start_from is damaged"}).run()
    assert len(run.of("unlearn")) == 1
    assert run.state == "FAILED"
    (refused,) = run.of("refuse-unlearn")
    assert "--reason=components.unlearn: unlearn.start_from is damaged" in refused.command
    assert refused.gpus == 0
    assert not {"ask-vanilla", "evaluate", "register"} & run.ran()


def test_what_a_task_refused_is_not_kept_by_the_cache(kubeflow) -> None:
    backend = kubeflow(results={"outcome": "components.unlearn: the model is damaged"})
    assert backend.run().state == "FAILED"
    backend.execute = programs({"refusals": "1"})
    again = backend.run()
    assert len(again.of("unlearn")) == 1
    assert again.state == "SUCCEEDED"


# 5. The outcome.


@pytest.mark.parametrize(
    ("ends", "state"), [({}, "COMPLETE"), ({"gate": takes(0.1)}, "FAILED"), ({"unlearn": takes(0.1, LOST)}, "RUNNING")]
)
def test_the_exit_task_is_told_a_state_that_is_never_succeeded(kubeflow, ends, state) -> None:
    run = kubeflow(ends=ends).run()
    (last,) = run.of("finish")
    assert last.input["inputs"]["parameterValues"]["status"]["state"] == state


# 7. Ten thousand requests.


@pytest.mark.slow
def test_ten_thousand_requests_reach_prepare_though_an_argument_holds_a_thousand(kubeflow, tmp_path) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    for number in range(10_000):
        (folder / f"r{number}.yaml").write_text(REQUEST.format(f"r{number}", f"{number:05}"))
    resolved = resolve(params(requests=str(folder)), only_requests=True)
    assert len(json.dumps(resolved["requests"])) > MAX_ARG_STRLEN / 2
    pending = tmp_path / "pending.json"
    collect(str(folder), resolved["requests_sha256"], pending, tmp_path / "start")
    results = {name: value for name, value in resolved.items() if name != "requests"}
    run = kubeflow(results=results, sizes={"pending": pending.stat().st_size}).run()
    assert run.state == "SUCCEEDED"
    (preparing,) = run.of("prepare")
    assert f"--requests={preparing.inputs()['pending']}" in preparing.command
    assert max(len(part) for attempt in run.attempts for part in attempt.command) < MAX_ARG_STRLEN
    with as_folder(pending) as there:
        assert sha256_json({path.name: path.read_text() for path in there.iterdir()}) == resolved["requests_sha256"]


def test_the_double_refuses_what_linux_would(kubeflow) -> None:
    with pytest.raises(OSError, match="Argument list too long"):
        kubeflow(results={"gate": {"rules": ["x" * MAX_ARG_STRLEN]}}).run()


# 8. Each task what it needs.


def test_the_gpu_is_for_what_loads_the_model_and_pictures_go_where_they_are_looked_at(kubeflow) -> None:
    run = kubeflow(sizes={"prepared": 100_000, "prepared_manifest": 10, "vanilla": 50_000}).run()
    assert {attempt.task for attempt in run.attempts if attempt.gpus} == {"unlearn", "ask-vanilla", "evaluate"}
    given = {attempt.task: attempt.downloaded for attempt in run.attempts}
    for task in ("register", "close"):
        assert "prepared" not in given[task]
        assert given[task]["prepared_manifest"] == 10
    for attempt in run.attempts:
        for name, path in attempt.inputs().items():
            assert any(str(path) in part for part in attempt.command[3:]), f"{attempt.task} is given {name} for nothing"


# 9. Vanilla once, and shares.


def test_the_vanilla_model_is_asked_again_only_where_model_data_or_protocol_change(kubeflow) -> None:
    backend = kubeflow()
    backend.run()
    backend.execute = programs({"unlearn": {"of": "another learning rate"}})
    second = backend.run()
    assert {"unlearn", "evaluate"} <= second.ran()
    assert "ask-vanilla" not in second.ran()
    backend.execute = programs({"evaluate": {"of": "another protocol"}})
    third = backend.run()
    assert {"ask-vanilla", "evaluate"} <= third.ran()
    assert "unlearn" not in third.ran()


@pytest.mark.parametrize(
    ("task", "stage", "artifact", "option"),
    [
        ("ask-unlearned", "evaluate", "answers_unlearned", "answers"),
        ("ask-teacher", "unlearn", "teachers", "teachers"),
    ],
)
def test_several_tasks_share_what_is_asked(kubeflow, task, stage, artifact, option) -> None:
    run = kubeflow(shares=3).run()
    assert run.state == "SUCCEEDED"
    shares = [part for attempt in run.of(task) for part in attempt.command if part.startswith("--share=")]
    assert shares == ["--share=1/3", "--share=2/3", "--share=3/3"]
    (whole,) = run.of(stage)
    assert len(whole.input["inputs"]["artifacts"][artifact]["artifacts"]) == 3
    assert f"--{option}={{each:{artifact}}}" in whole.command
