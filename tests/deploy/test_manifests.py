"""The manifests of deploy/: valid by Kubernetes' own schemas, least rights, and the names that params.yaml uses."""

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from components.contract.params import load_params

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VERSIONS = tuple(f"1.{minor}" for minor in range(28, 35))
FILES = sorted(
    [*(DEPLOY / "base").glob("*.yaml"), *(DEPLOY / "mlflow").glob("*.yaml"), DEPLOY / "secrets.example.yaml"]
)
MANIFESTS = [path for path in FILES if path.name != "kustomization.yaml"]
PARAMS = load_params(ROOT / "params.yaml").deploy


def objects(path: Path) -> list[dict]:
    return [one for one in YAML(typ="safe", pure=True).load_all(path) if one]


ALL = [one for path in MANIFESTS for one in objects(path)]


def of_kind(kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in ALL if one["kind"] == kind}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_manifests_are_valid(path: Path, version: str) -> None:
    for one in objects(path):
        kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_manifest_would_be_found() -> None:
    wrong = objects(DEPLOY / "mlflow/mlflow.yaml")[1]
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnlyRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", ["base", "mlflow"])
def test_kustomizations_name_every_manifest_beside_them(folder: str) -> None:
    (made,) = objects(DEPLOY / folder / "kustomization.yaml")
    beside = {path.name for path in (DEPLOY / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(made["resources"]) == beside
    assert made["namespace"] == "viker"


@pytest.mark.parametrize("folder", ["base", "mlflow"])
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which has kustomize")
def test_kustomize_builds_them(folder: str) -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for one in YAML(typ="safe", pure=True).load_all(built):
        kubernetes_validate.validate(one, VERSIONS[0], strict=True)
        assert one["metadata"].get("namespace", "viker") == "viker"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which has kustomize")
def test_in_kubeflows_own_namespace_all_is_there_but_what_would_bind_kubeflow_too() -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / "standalone")]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found = list(YAML(typ="safe", pure=True).load_all(built))
    assert {one["metadata"]["namespace"] for one in found} == {"kubeflow"}
    assert "namespace: viker" not in built
    wanted = {(one["kind"], one["metadata"]["name"]) for one in ALL if one["kind"] != "Secret"}
    made = {(one["kind"], one["metadata"]["name"]) for one in found if one["kind"] != "ConfigMap"}
    assert made == wanted - {("Namespace", "viker"), ("ResourceQuota", "viker")}


def test_the_account_may_do_nothing_beyond_what_the_launcher_needs() -> None:
    roles = of_kind("Role").values()
    assert {role["metadata"]["name"] for role in roles} == {"viker", "viker-pipelines"}
    assert not of_kind("ClusterRole")
    assert not of_kind("ClusterRoleBinding")
    for rule in [rule for role in roles for rule in role["rules"]]:
        assert "*" not in rule["resources"] + rule["verbs"] + rule["apiGroups"]
        if "secrets" in rule["resources"] or "configmaps" in rule["resources"]:
            assert rule["verbs"] == ["get"]
            assert rule["resourceNames"]


def test_what_params_yaml_names_is_there() -> None:
    assert PARAMS.cache_claim in of_kind("PersistentVolumeClaim")
    example = of_kind("Secret")
    for name, keys in PARAMS.secrets.items():
        assert set(keys) <= set(example[name]["stringData"])
    service = re.fullmatch(r"http://(\w+):(\d+)", PARAMS.environment["MLFLOW_TRACKING_URI"])
    ports = of_kind("Service")[service.group(1)]["spec"]["ports"]
    assert [port["port"] for port in ports] == [int(service.group(2))]


def test_the_example_holds_no_secret() -> None:
    for secret in of_kind("Secret").values():
        for key, value in secret["stringData"].items():
            assert value == "REPLACE" or key in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_servers_run_without_root_with_limits_and_on_a_read_only_root(kind: str) -> None:
    for one in of_kind(kind).values():
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert set(container["resources"]) == {"requests", "limits"}
            assert re.search(r":[\w.-]+$", container["image"])
            assert not container["image"].endswith(":latest")


def test_the_cache_becomes_the_images_users_with_the_one_capability_that_takes() -> None:
    pod = of_kind("Job")["cache-owner"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == PARAMS.cache_claim
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert f"chown {PARAMS.run_as}:{PARAMS.run_as} /cache" in container["command"][-1]


def test_selectors_find_what_they_are_for() -> None:
    pods = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for name, one in of_kind(kind).items()
    }
    for name, service in of_kind("Service").items():
        assert service["spec"]["selector"].items() <= pods[name].items()
    for name, policy in of_kind("NetworkPolicy").items():
        wanted = policy["spec"]["podSelector"].get("matchLabels")
        assert wanted is None or wanted.items() <= pods[name].items()


def test_tasks_are_not_reached_and_dont_reach_the_clouds_metadata() -> None:
    policy = of_kind("NetworkPolicy")["tasks"]["spec"]
    assert policy["ingress"] == []
    outside = [to["ipBlock"] for rule in policy["egress"] for to in rule.get("to", []) if "ipBlock" in to]
    assert outside
    assert all("169.254.169.254/32" in block["except"] for block in outside)


def test_the_accounts_token_may_start_and_schedule_runs_where_there_are_users() -> None:
    """Kubeflow Pipelines asks for these (2.17.0, installs/multi-user/view-edit-cluster-roles.yaml); jobs: schedules."""
    granted = {
        (resource, verb)
        for rule in of_kind("Role")["viker-pipelines"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if rule["apiGroups"] == ["pipelines.kubeflow.org"]
    }
    used = {("experiments", "create"), ("experiments", "list"), ("runs", "create"), ("runs", "get"), ("runs", "list")}
    used |= {("jobs", verb) for verb in ("create", "list", "delete", "enable", "disable")}
    assert used <= granted


@pytest.mark.parametrize("folder", ["base", "mlflow"])
def test_the_label_that_a_profiles_policies_go_by_stays(folder: str) -> None:
    (made,) = objects(DEPLOY / folder / "kustomization.yaml")
    assert "app.kubernetes.io/part-of" not in [key for entry in made["labels"] for key in entry["pairs"]]
