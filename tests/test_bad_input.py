"""What a user can get wrong: one paragraph that names the place, exit code 1, nothing half-written."""

import importlib
import sys
from pathlib import Path

import pytest

from tests.shared import change_params
from viker.core import console
from viker.data.synthetic.generate import generate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with params.yaml and a small benchmark in it."""
    small = (ROOT / "components/prepare/embedded.yaml").read_text()
    for big, little in (("people: 40", "people: 10"), ("pictures: 2400", "pictures: 2"), ("scenes: 600", "scenes: 1")):
        assert big in small
        small = small.replace(big, little)
    (tmp_path / "small.yaml").write_text(small)
    generate(tmp_path / "small.yaml", tmp_path / "benchmark", seed=1, forget_share=0.1)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    change(prepare={"source": "benchmark"})
    return tmp_path


def change(**sections: object) -> None:
    change_params(Path("params.yaml"), **sections)


def call(stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a stage's program; return its exit code and what it wrote to standard error."""
    app = importlib.import_module(f"components.{stage}.__main__").app
    monkeypatch.setattr(sys, "argv", [stage])
    with pytest.raises(SystemExit) as ended:
        console.run(app)
    return int(ended.value.code or 0), capsys.readouterr().err


def written() -> set[str]:
    """Return the top folders that hold a file, what the project began with aside."""
    files = {path.relative_to(Path.cwd()).as_posix() for path in Path.cwd().rglob("*") if path.is_file()}
    return {name for name in files if name.split("/")[0] not in ("params.yaml", "small.yaml", "benchmark")}


def test_the_project_under_test_is_sound(project, monkeypatch, capsys):
    assert call("prepare", monkeypatch, capsys)[0] == 0
    assert call("sample", monkeypatch, capsys)[0] == 0


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"prepare": {"forget_shar": 0.1}}, ["params.yaml", "prepare.forget_shar"]),
        ({"prepare": {"forget_share": 0}}, ["params.yaml", "prepare.forget_share", "0"]),
        ({"prepare": {"forget_share": 1}}, ["params.yaml", "prepare.forget_share", "1"]),
        ({"prepare": {"forget_share": "many"}}, ["params.yaml", "prepare.forget_share", "many"]),
        ({"prepare": {"source": "elsewhere"}}, ["prepare.source", "elsewhere"]),
        ({"prepare": {"forget_ids": ["nobody"]}}, ["prepare.forget_ids", "nobody"]),
        ({"seed": -1}, ["params.yaml", "seed", "-1"]),
    ],
)
def test_a_wrong_parameter_of_prepare_is_named(project, monkeypatch, capsys, sections, named):
    change(**sections)
    code, said = call("prepare", monkeypatch, capsys)
    assert (code, written()) == (1, set())
    assert_one_paragraph(said, named)


def test_a_truncated_shard_is_named(project, monkeypatch, capsys):
    shard = next(Path("benchmark/forget_10").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-200])
    code, said = call("prepare", monkeypatch, capsys)
    assert (code, written()) == (1, set())
    assert_one_paragraph(said, [str(shard)])


def test_a_model_that_does_not_exist_is_named(project, monkeypatch, capsys):
    assert call("prepare", monkeypatch, capsys)[0] == 0
    prepared = written()
    change(finetune={"deployed_model": "./no/model/here"})
    code, said = call("finetune", monkeypatch, capsys)
    assert (code, written()) == (1, prepared)
    assert_one_paragraph(said, ["finetune.deployed_model", "no/model/here"])


def test_an_empty_folder_of_irrelevant_images_is_named(project, monkeypatch, capsys):
    assert call("prepare", monkeypatch, capsys)[0] == 0
    Path("mine").mkdir()
    change(sample={"kinds": ["folder"], "folder": "mine"})
    code, said = call("sample", monkeypatch, capsys)
    assert code == 1
    of_prepare = ("data/prepared/", "validation/", "data/sources/fingerprints.cache")
    assert [name for name in written() if not name.startswith(of_prepare)] == []
    assert_one_paragraph(said, ["sample.folder", "mine"])


@pytest.mark.parametrize(
    ("sample", "named"),
    [
        ({"k": 5, "pool": 4}, ["sample.pool", "sample.k"]),
        ({"kinds": ["folder"]}, ["sample.folder", "'folder'"]),
        ({"kinds": ["cats"]}, ["sample.kinds", "cats"]),
    ],
)
def test_a_wrong_parameter_of_sample_is_named(project, monkeypatch, capsys, sample, named):
    change(sample=sample)
    code, said = call("sample", monkeypatch, capsys)
    assert (code, written()) == (1, set())
    assert_one_paragraph(said, ["params.yaml", *named])


@pytest.mark.parametrize(
    ("stage", "first"),
    [
        *(("finetune", "prepare"), ("sample", "prepare"), ("unlearn", "prepare"), ("evaluate", "prepare")),
        *(("gate", "evaluate"), ("register", "evaluate"), ("report", "evaluate")),
    ],
)
def test_a_stage_run_too_early_names_the_one_to_run_first(project, monkeypatch, capsys, stage, first):
    code, said = call(stage, monkeypatch, capsys)
    assert (code, written()) == (1, set())
    assert_one_paragraph(said, [f"viker {first}"])


def assert_one_paragraph(said: str, named: list[str]) -> None:
    assert said.startswith("error: ")
    assert said.strip().count("\n") == 0
    assert "Traceback" not in said
    for name in named:
        assert name in said
