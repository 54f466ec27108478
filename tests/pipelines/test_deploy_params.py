"""What the section deploy may say, and what a run is given."""

import json
import re

import pytest

from pipelines.kubeflow import compile as compiling
from tests.conftest import ROOT
from viker.core.errors import UserError


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("deploy.profile=tpu", "deploy.profile is 'tpu'"),
        ("deploy.digests={gate: latest}", "digests"),
        ("deploy.digests={gates: 'sha256:" + "a" * 64 + "'}", "'gates' is no stage"),
        ("deploy.environment={HF_TOKEN: x}", "looks like a secret"),
        ("deploy.environment={DB: 'postgresql://user:word@host/db'}", "looks like a secret"),
        ("deploy.profiles.cpu.small.memory=much", "memory"),
        ("deplyo.profile=cpu", "did you mean 'deploy'"),
    ],
)
def test_what_deploy_may_not_say_is_refused(change, said) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        compiling.load(ROOT / "params.yaml", [change])


def test_a_run_is_given_all_sections_and_null_as_text() -> None:
    values, _ = compiling.load(ROOT / "params.yaml", ["unlearn.method.lambda=0.5", "prepare.forget_ids=['001']"])
    given = compiling.arguments(values, {"source": "s3://b/p", "model": None}, only_requests=True)
    assert given["params"]["unlearn"]["method"]["lambda"] == 0.5
    assert given["params"]["prepare"]["forget_ids"] == ["001"]
    assert given["params"]["unlearn"]["start_from"] == "null"
    assert {key: given[key] for key in given if key != "params"} == {"source": "s3://b/p", "only_requests": True}
    assert None not in json.loads(
        json.dumps(given), object_hook=lambda pairs: pairs if None not in pairs.values() else {}
    )
