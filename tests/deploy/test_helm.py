"""The Helm chart is valid and grants what deploy/base does; the dashboard asks for metrics that there are."""

import json
import re
import shutil
import subprocess
from datetime import UTC, date, datetime

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from components.register.notify import metrics
from tests.deploy.test_manifests import DEPLOY, VERSIONS, of_kind
from viker.data.requests import ForgetRequest


def made(*options: str) -> list[dict]:
    command = ["helm", "template", "viker", str(DEPLOY / "helm/viker"), "--namespace", "viker", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [one for one in YAML(typ="safe", pure=True).load_all(text) if one]


@pytest.mark.skipif(shutil.which("helm") is None, reason="needs helm")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_chart_is_valid_and_like_the_manifests(version) -> None:
    objects = made("--kube-version", f"{version}.0")
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)
    for kind in ("ResourceQuota", "NetworkPolicy", "PersistentVolumeClaim", "Job"):
        (found,) = [one["spec"] for one in objects if one["kind"] == kind]
        wanted = of_kind(kind)
        assert found == next(
            one["spec"]
            for one in wanted.values()
            if one["metadata"]["name"] in ("viker", "tasks", "viker-cache", "cache-owner")
        )
    assert "PrometheusRule" in {one["kind"] for one in made("--set", "alerts.enabled=true", "--kube-version", "1.28.0")}


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() -> None:
    request = {"id": "r", "date": date(2026, 1, 1), "people": ["p"], "reason": "erasure", "deadline": date(2026, 2, 1)}
    there = set(re.findall(r"viker_\w+", metrics("passed", [ForgetRequest.model_validate(request)], datetime.now(UTC))))
    board = json.loads((DEPLOY / "grafana/viker.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked.append((DEPLOY / "helm/viker/templates/limits.yaml").read_text())
    assert set(re.findall(r"viker_\w+", " ".join(asked))) <= there
