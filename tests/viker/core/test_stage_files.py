"""A value of another type in a file that a stage wrote is named with file and key, whoever reads it."""

import copy
import json

import pytest

from viker.core.errors import UserError
from viker.core.manifest import MANIFEST, read_manifest
from viker.evidence.registration import read_registration

PROMOTION = {"kind": "promotion", "at": "2026-11-01T00:00:00+00:00", "replaces": None}
REGISTERED = {
    "run_id": "a1", "adapter": None, "model_name": "m", "version": 1, "gate_verdict": "pass",
    "aliases": ["champion"], "promotion": PROMOTION, "refused": [], "tracking_uri": "sqlite:///mlflow.db",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(prepared) -> dict:
    return json.loads((prepared / MANIFEST).read_text())


def changed(value: dict, keys: str, new: object) -> str:
    value = copy.deepcopy(value)
    *parents, last = keys.split(".")
    inner = value
    for key in parents:
        inner = inner[key]
    inner[last] = new
    return json.dumps(value)


def test_what_prepare_writes_is_read(tmp_path, manifest):
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize(
    ("keys", "new", "at"),
    [
        ("hashes", "x", "'hashes'"),
        ("hashes.extra", 7, "'hashes.extra'"),
        ("forget_ids", "001", "'forget_ids'"),
        ("forget_ids", [None], "'forget_ids.0'"),
        ("requests", {"a": 1}, "'requests'"),
        ("counts.forget", [], "'counts.forget'"),
        ("seed", "7", "'seed'"),
        ("validation.suites", [], "'validation.suites'"),
    ],
)
def test_another_type_in_the_manifest_is_named(tmp_path, manifest, keys, new, at):
    (tmp_path / MANIFEST).write_text(changed(manifest, keys, new))
    with pytest.raises(UserError, match=r"manifest\.json: .*, found \w+\..*'viker prepare' again") as said:
        read_manifest(tmp_path)
    assert at in str(said.value)


@pytest.mark.parametrize(
    ("keys", "new", "at"),
    [
        ("version", "1", "'version'"),
        ("aliases", "champion", "'aliases'"),
        ("promotion", [], "'promotion'"),
        ("promotion.replaces", "none", "'promotion.replaces'"),
        ("refused", [7], "'refused.0'"),
    ],
)
def test_another_type_in_the_registration_is_named(tmp_path, keys, new, at):
    path = tmp_path / "register.json"
    path.write_text(json.dumps(REGISTERED))
    assert read_registration(path) == REGISTERED
    path.write_text(changed(REGISTERED, keys, new))
    with pytest.raises(UserError, match=r"register\.json: .*, found \w+\..*'viker register' again") as said:
        read_registration(path)
    assert at in str(said.value)
