"""The pipeline as YAML for Kubeflow, and the arguments of a run."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp import compiler
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.contract.deployment import DeployParams
from components.contract.kfp_task import merged, to_struct
from components.contract.params import params_model
from pipelines.kubeflow.pipeline import pipeline
from pipelines.kubeflow.task_settings import settle
from viker.core.errors import UserError, did_you_mean
from viker.core.settings import read_yaml, validated
from viker.storage import refuse_credentials

GIVEN = ("source", "revision", "requests", "model", "policy")
"""The arguments that go before the same value of params.yaml."""


def load(params: Path, changes: list[str], profile: str | None = None) -> tuple[dict[str, Any], DeployParams]:
    """Return the values of params.yaml with ``changes``, without 'deploy', and that section.

    ``changes`` are ``SECTION.NAME=VALUE``, the value as YAML; ``profile`` is in place of deploy.profile.

    Raises UserError: an unknown key or profile, or a value that isn't allowed.
    """
    values = read_yaml(params, "Run in the project's root, or name it with --params.")
    for change in changes:
        values = merged(values, _parse(change))
    if profile is not None:
        values = merged(values, {"deploy": {"profile": profile}})
    checked = validated(params_model(), values, params)
    values.pop("deploy")
    return values, checked.deploy


def compiled(deploy: DeployParams) -> str:
    """Return the YAML: the pipeline, and behind ``---`` what of it is Kubernetes'."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(_pipeline(deploy), str(path))
        return path.read_text(encoding="utf-8")


def specification(deploy: DeployParams) -> dict[str, Any]:
    """Return the same as Kubeflow's API takes it: ``pipeline_spec`` and ``platform_spec``."""
    made = _pipeline(deploy)
    return {
        "pipeline_spec": json_format.MessageToDict(made.pipeline_spec),
        "platform_spec": json_format.MessageToDict(made.platform_spec),
    }


def arguments(values: dict[str, Any], given: dict[str, str | None], only_requests: bool) -> dict[str, Any]:
    """Return the arguments of a run: all sections of params.yaml, so that the images' own file decides nothing."""
    named = {name: given[name] for name in GIVEN if given.get(name)}
    for value in given.values():
        refuse_credentials(value or "")
    return {"params": to_struct(values), **named, "only_requests": only_requests}


def _pipeline(deploy: DeployParams) -> Any:
    shares = {"teachers": deploy.teacher_shares, "answers_unlearned": deploy.evaluate_shares}
    return pipeline(partial(settle, deploy=deploy), shares)


def _parse(change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set is '{change}': expected NAME=VALUE, such as unlearn.method.lambda=0.5.")
    section, sections = key.split(".")[0], [f.alias or name for name, f in params_model().model_fields.items()]
    if section not in sections:
        raise UserError(f"--set is '{change}': no section '{section}'{did_you_mean(section, sections)}")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise UserError(f"--set is '{change}': the value is not valid YAML.") from None
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
