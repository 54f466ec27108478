"""What the compiled pipeline says of each task: image, resources, node, secrets, retries, caching and order."""

import inspect
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from kfp import components
from ruamel.yaml import YAML

from components.contract.params import load_params
from components.contract.stages import stages
from pipelines.kubeflow import compile as compiling
from pipelines.kubeflow.submit import task_names
from pipelines.kubeflow.task_settings import image
from pipelines.kubeflow.tasks import ASKS, IMAGES, REFUSALS

ROOT = Path(__file__).parents[2]
DEPLOY = load_params(ROOT / "params.yaml").deploy
STAGES = tuple(stages())
TASKS = tuple(name for name in task_names() if name not in ("ask-teacher", "ask-unlearned"))
"""All, where the unlearned model is asked by one task."""
LARGE = {stage.name for stage in stages().values() if stage.loads_model} | {*ASKS}


INSTEAD = {("report", "--requests"): "--pending"}
"""Options by task, and those that are given in their place."""


def compiled(**changes: Any) -> str:
    with pytest.MonkeyPatch.context() as patch:  # kfp asks for the whole stack at each setting: long below pytest
        patch.setattr(inspect, "stack", lambda: [(None,) * 6] * 9)
        return compiling.compiled(DEPLOY.model_copy(update=changes))


@pytest.fixture(scope="module", params=sorted(DEPLOY.profiles))
def profile(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def text(profile) -> str:
    return compiled(profile=profile)


@pytest.fixture(scope="module")
def documents(text) -> tuple[dict, dict]:
    return tuple(YAML(typ="safe", pure=True).load_all(text))


@pytest.fixture(scope="module")
def containers(documents) -> dict[str, dict]:
    executors = documents[0]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): one["container"] for name, one in executors.items()}


@pytest.fixture(scope="module")
def pods(documents) -> dict[str, dict]:
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): one for name, one in executors.items()}


@pytest.fixture(scope="module")
def tasks(documents) -> dict[str, dict]:
    dags = [one["dag"] for one in documents[0]["components"].values() if "dag" in one] + [documents[0]["root"]["dag"]]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


def test_the_checked_in_yaml_is_what_the_code_and_params_yaml_make() -> None:
    found = (ROOT / "deploy/pipeline.yaml").read_text(encoding="utf-8")
    assert found == compiled(), "review the difference: run 'viker pipeline compile' and commit deploy/pipeline.yaml"


def test_compiling_is_the_same_twice(text, profile) -> None:
    assert compiled(profile=profile) == text


def test_kfp_itself_loads_it(text) -> None:
    loaded = components.load_component_from_text(text)
    assert loaded.name == "viker"
    assert set(loaded.component_spec.inputs) == {
        *("params", "source", "revision", "requests", "model", "policy", "only_requests")
    }


def test_every_stage_is_there_and_nothing_unknown(containers) -> None:
    assert set(containers) == set(TASKS)
    assert set(STAGES) <= set(TASKS)


def test_every_image_is_named_and_tagged(containers) -> None:
    for container in containers.values():
        assert re.fullmatch(r"viker-[a-z]+:\d+\.\d+\.\d+", container["image"])


def test_every_container_runs_a_program_of_its_own_image(containers) -> None:
    for container in containers.values():
        stage = re.match(r"viker-([a-z]+):", container["image"]).group(1)
        assert container["command"][:3] == ["python", "-m", "components.contract.kfp_task"]
        inside = rf"components\.{stage}(\.[a-z]+)?" + (r"|components\.privacy\.by_policy" if stage == "prepare" else "")
        assert re.fullmatch(inside, container["args"][0])


def test_no_task_falls_back_on_a_path_in_a_work_tree(containers) -> None:
    """There is none in a container, and its file system may be read-only."""
    for name, container in containers.items():
        module, *given = container["args"]
        program = import_module(module if module.count(".") > 1 else f"{module}.__main__")
        for option in typer.main.get_command(program.app).params:
            if isinstance(option.default, Path) and option.name != "params":  # the images have params.yaml
                wanted = INSTEAD.get((name, option.opts[0]), option.opts[0])
                assert any(arg.startswith(f"{wanted}=") for arg in given), (name, wanted)


def test_every_task_has_its_resources(containers, pods, profile) -> None:
    for name, container in containers.items():
        size = DEPLOY.profiles[profile].large if name in LARGE else DEPLOY.profiles[profile].small
        resources = container["resources"]
        assert {resources["resourceCpuRequest"], resources["resourceCpuLimit"]} == {size.cpu}
        assert {resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]} == {size.memory}
        shared = {"medium": "Memory", "mountPath": "/dev/shm", "sizeLimit": size.shared_memory, "volumeName": "shm"}
        assert shared in pods[name]["emptyDirMounts"]
        assert pods[name]["activeDeadlineSeconds"] == str(size.minutes * 60)


def test_gpu_label_and_toleration_are_those_of_the_profile_and_on_the_large_tasks_alone(
    containers, pods, profile
) -> None:
    settings = DEPLOY.profiles[profile]
    for name, container in containers.items():
        on_gpu = settings.gpu is not None and name in LARGE
        accelerator = container["resources"].get("accelerator")
        assert (accelerator is not None) == on_gpu, name
        assert ("nodeSelector" in pods[name]) == (bool(settings.node_selector) and name in LARGE)
        assert ("tolerations" in pods[name]) == (bool(settings.tolerations) and name in LARGE)
        if on_gpu:
            assert accelerator["resourceType"] == settings.gpu.resource
            assert accelerator["resourceCount"] == str(settings.gpu.count)
            assert pods[name]["nodeSelector"]["labels"] == settings.node_selector
            assert pods[name]["tolerations"][0]["key"] == settings.tolerations[0].key


def test_secrets_come_by_name(containers, pods) -> None:
    for pod in pods.values():
        for secret in pod["secretAsEnv"]:
            keys = [pair["envVar"] for pair in secret["keyToEnv"]]
            assert keys == DEPLOY.secrets[secret["secretName"]]
    for container in containers.values():
        assert {one["name"] for one in container["env"]} == {*DEPLOY.environment, "VIKER_TRACKING_DIR"}


def test_secrets_of_who_compiles_are_not_in_the_text(monkeypatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "KFP_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "value-to-look-for")
    assert "value-to-look-for" not in compiled()


def test_no_pod_runs_as_root_and_each_may_write_where_it_must(pods) -> None:
    for pod in pods.values():
        assert pod["securityContext"] == {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
        assert {"mountPath": "/tmp", "volumeName": "tmp"} in pod["emptyDirMounts"]
        assert pod["pvcMount"][0]["mountPath"] == "/cache"


def test_each_task_is_retried_with_growing_pauses_as_long_as_its_attempts_may_take(tasks, profile) -> None:
    assert all("retryPolicy" not in tasks[name] for name in REFUSALS)
    for name in set(TASKS) - {*REFUSALS}:
        size = DEPLOY.profiles[profile].large if name in LARGE else DEPLOY.profiles[profile].small
        policy = tasks[name]["retryPolicy"]
        assert policy["maxRetryCount"] == size.retries
        assert (policy["backoffDuration"], policy["backoffFactor"]) == (f"{DEPLOY.backoff}s", 2.0)
        pauses = sum(DEPLOY.backoff * 2**number for number in range(size.retries))
        assert int(policy["backoffMaxDuration"][:-1]) >= size.minutes * 60 * (size.retries + 1) + pauses


def test_what_looks_outside_or_changes_it_is_never_taken_from_the_cache(tasks) -> None:
    cached = {name for name in TASKS if tasks[name]["cachingOptions"].get("enableCache")}
    assert set(TASKS) - cached == {"register", *IMAGES} - {"collect", *ASKS}
    assert set(IMAGES) == {"resolve", "collect", *ASKS, *REFUSALS, "promote", "close", "purge", "finish"}


def test_nothing_is_promoted_or_closed_but_behind_a_passed_gate(documents) -> None:
    dags = {name: one["dag"] for name, one in documents[0]["components"].items() if "dag" in one}
    (inner,) = [name for name, dag in dags.items() if "promote" in dag["tasks"]]
    assert set(dags[inner]["tasks"]) == {"promote", "close", "purge"}
    assert dags[inner]["tasks"]["close"]["dependentTasks"] == ["promote"]
    assert dags[inner]["tasks"]["purge"]["dependentTasks"] == ["close"]
    (task,) = [task for dag in dags.values() for task in dag["tasks"].values() if task["componentRef"]["name"] == inner]
    assert task["triggerPolicy"]["condition"].endswith("['pipelinechannel--gate-verdict'] == 'pass'")
    args = documents[0]["deploymentSpec"]["executors"]["exec-register"]["container"]["args"]
    assert "--no-promote" in args


def test_without_work_only_resolve_and_the_exit_handler_run(documents) -> None:
    dags = {name: one["dag"] for name, one in documents[0]["components"].items() if "dag" in one}
    (outer,) = [dag for dag in dags.values() if "resolve" in dag["tasks"]]
    others = [task for name, task in outer["tasks"].items() if name != "resolve"]
    assert [task["triggerPolicy"]["condition"] for task in others] == [
        "inputs.parameter_values['pipelinechannel--resolve-work'] == 'yes'"
    ]
    root = documents[0]["root"]["dag"]["tasks"]
    assert root["finish"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def test_the_order_is_that_of_dvc_yaml(documents) -> None:
    dags = {name: one["dag"]["tasks"] for name, one in documents[0]["components"].items() if "dag" in one}

    def after(task: str) -> set[str]:
        (dag,) = [name for name, inside in dags.items() if task in inside]
        around = [
            name for inside in dags.values() for name, one in inside.items() if one["componentRef"]["name"] == dag
        ]
        return {*dags[dag][task].get("dependentTasks", ())}.union(*map(after, around))

    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    for stage, entry in stages.items():
        outs = {
            next(iter(out)) if isinstance(out, dict) else out: name
            for name, other in stages.items()
            for out in other.get("outs", []) + other.get("metrics", [])
        }
        before = {
            made for dep in entry["deps"] for out, made in outs.items() if dep == out or dep.startswith(f"{out}/")
        }
        assert before <= after(stage), stage


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "viker-gate:0.1.0"),
        ({"registry": "ghcr.io/o/", "tag": "v2"}, "ghcr.io/o/viker-gate:v2"),
        (
            {"registry": "ghcr.io/o", "digests": {"gate": "sha256:" + "a" * 64}},
            f"ghcr.io/o/viker-gate@sha256:{'a' * 64}",
        ),
    ],
)
def test_an_image_goes_by_its_digest_where_there_is_one(changes, expected) -> None:
    assert image("gate", DEPLOY.model_copy(update=changes)) == expected


def test_pull_secrets_digests_and_a_cache_that_goes_with_the_pod() -> None:
    digest = "sha256:" + "b" * 64
    text = compiled(pull_secrets=["registry"], digests={"register": digest}, cache_claim=None)
    spec, platform = YAML(typ="safe", pure=True).load_all(text)
    executors = spec["deploymentSpec"]["executors"]
    assert executors["exec-close"]["container"]["image"] == f"viker-register@{digest}"
    for pod in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert pod["imagePullSecret"][0]["secretName"] == "registry"
        assert "pvcMount" not in pod
        assert {"mountPath": "/cache", "volumeName": "cache"} in pod["emptyDirMounts"]


def test_with_several_gpus_unlearn_has_a_process_for_each_and_the_others_have_one_gpu() -> None:
    changes = ["deploy.profile=gpu-a100", "deploy.profiles.gpu-a100.gpu.count=4"]
    _, deploy = compiling.load(ROOT / "params.yaml", changes)
    one, four = (
        next(YAML(typ="safe", pure=True).load_all(text))["deploymentSpec"]["executors"]
        for text in (compiled(profile="gpu-a100"), compiled(**dict(deploy)))
    )
    alone = one["exec-unlearn"]["container"]
    container = four["exec-unlearn"]["container"]
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--num_processes=4"]
    launch += ["--mixed_precision=no", "--dynamo_backend=no", "-m"]
    assert alone["args"][0] == "components.unlearn"
    assert container["command"] == alone["command"]
    assert container["args"] == launch + alone["args"]
    assert container["resources"]["accelerator"]["resourceCount"] == "4"
    assert four["exec-evaluate"] == one["exec-evaluate"]
    assert four["exec-evaluate"]["container"]["resources"]["accelerator"]["resourceCount"] == "1"


def test_the_tasks_are_settled_once_each() -> None:
    seen: list[str] = []
    from pipelines.kubeflow.pipeline import pipeline

    pipeline(partial(lambda names, task: names.append(task.name), seen), {})
    assert sorted(seen) == sorted(TASKS)
