"""viker params upgrade: a parameter file from before each method had its own settings, and two profiles of then."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.contract.params import load_params
from pipelines.cli.main import app
from viker.core.errors import UserError

OLD = Path(__file__).parent / "old"
ROOT = Path(__file__).parents[2]
KL = {"term": "kl", "weight": 5.0}
NONE = {"term": "none", "weight": 0.0}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD / "params.yaml", tmp_path / "params.yaml"))


def upgrade(*arguments: object):
    return CliRunner().invoke(app, ["params", "upgrade", *map(str, arguments)])


def read(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def test_an_old_file_is_refused_with_the_new_form_and_the_command(old: Path) -> None:
    with pytest.raises(UserError, match=r"unlearn.*beta.*lambda.*method: \{name: viker.*'viker params upgrade'"):
        load_params(old)


def test_an_old_file_keeps_its_values_and_comments(old: Path) -> None:
    before = read(old)
    result = upgrade(old)
    assert result.exit_code == 0
    loaded = load_params(old)
    assert loaded.unlearn.method.model_dump(by_alias=True) == {
        "name": "viker",
        "retain": KL,
        **{key: before["unlearn"][key] for key in ("lambda", "teacher", "weighting", "mask_threshold", "use_ga")},
    }
    assert loaded.sweep == {"unlearn.method.lambda": [0.5, 1.0, 2.0, 4.0]}
    text = old.read_text()
    assert "    lambda: 2.0 # weight of the regulariser; 0 is gradient ascent\n" in text
    gone = {"base_model:", "beta:", "one_sentence:"}
    kept = [line for line in (OLD / "params.yaml").read_text().splitlines() if line.split()[:1] and "#" in line]
    comments = [line.partition("#")[2] for line in kept if line.split()[0] not in gone]
    assert all(comment in text for comment in comments)
    for line in (
        "unlearn.lambda is now unlearn.method.lambda",
        "unlearn.beta is gone",
        "sweep: unlearn.lambda is now",
        "unlearn.retain_weight is now unlearn.method.retain",
    ):
        assert line in result.stdout


def test_a_second_time_changes_nothing(old: Path) -> None:
    upgrade(old)
    before = old.read_bytes()
    result = upgrade(old)
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")
    assert old.read_bytes() == before


def test_check_writes_nothing_and_exits_with_1_until_all_is_in_form(old: Path) -> None:
    before = old.read_bytes()
    assert upgrade(old, "--check").exit_code == 1
    assert old.read_bytes() == before
    upgrade(old)
    assert upgrade(old, "--check").exit_code == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method: viker": "method: npo"}, {"name": "npo", "retain": KL, "beta": 0.1}),
        (
            {"method: viker": "method: retrain", "base_model: null": "base_model: org/base"},
            {"name": "retrain", "retain": {"term": "none", "weight": 1.0}, "base_model": "org/base"},
        ),
        ({"method: viker": "method: ga"}, {"name": "ga", "retain": KL}),
        (
            {"method: viker": "method: ga", "retain_weight: 5.0": "retain_weight: 0"},
            {"name": "ga", "retain": {"term": "none", "weight": 0}},
        ),
    ],
)
def test_another_method_keeps_its_own_settings(old: Path, changes: dict, expected: dict) -> None:
    text = old.read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    old.write_text(text)
    upgrade(old)
    assert load_params(old).unlearn.method.model_dump(by_alias=True) == expected


@pytest.mark.parametrize(
    ("profile", "method"), [("tofu", {"lambda": 1.0}), ("llava", {"name": "viker", "lambda": 1.0, "retain": NONE})]
)
def test_a_profile_is_upgraded_alike(tmp_path: Path, profile: str, method: dict) -> None:
    path = Path(shutil.copy(OLD / f"{profile}.yaml", tmp_path / "profile.yaml"))
    before = read(path)
    upgrade(path)
    after = read(path)
    assert after["unlearn"].pop("method") == method
    if before["evaluate"].pop("one_sentence", False):
        before["evaluate"]["protocol"] = "mllmu"
    assert {**after, "unlearn": None} == {**before, "unlearn": None}
    moved = ("method", "lambda", "retain_weight")
    assert after["unlearn"] == {k: v for k, v in before["unlearn"].items() if k not in moved}


@pytest.mark.parametrize(
    ("unlearn", "sweep", "expected"),
    [
        (
            "method: {name: ga}\n  retain_weight: 2",
            "",
            {"method": {"name": "ga", "retain": {"term": "kl", "weight": 2}}},
        ),
        ("retain_weight: 2 # more\n  lr: 1.0", "", {"method": {"retain": {"term": "kl", "weight": 2}}, "lr": 1.0}),
        (
            "method: {name: retrain, base_model: base}\n  retain_weight: 5.0",
            "",
            {"method": {"name": "retrain", "base_model": "base"}},
        ),
        (
            "method: {name: npo}\n  retain_weight: 0",
            "sweep: {unlearn.retain_weight: [0, 1]}\n",
            {"method": {"name": "npo", "retain": {"term": "kl", "weight": 0}}},
        ),
    ],
)
def test_the_weight_of_the_retain_term_moves_to_the_method(
    tmp_path: Path, unlearn: str, sweep: str, expected: dict
) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(f"unlearn:\n  {unlearn}\n{sweep}")
    assert upgrade(path).exit_code == 0
    after = read(path)
    assert after["unlearn"] == expected
    assert after.get("sweep") == ({"unlearn.method.retain.weight": [0, 1]} if sweep else None)
    assert ("# more" in path.read_text()) == ("# more" in unlearn)


def test_the_shipped_files_are_in_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert upgrade("--check").exit_code == 0


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: can't be read"):
        CliRunner().invoke(app, ["params", "upgrade", str(tmp_path / "nowhere.yaml")], catch_exceptions=False)
