"""Unlearning from data frames: the model's own weights stay, nothing is written, errors name frame, row and column."""

import copy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import viker
from viker.core.errors import UserError
from viker.data.frames import read_frame
from viker.data.records import read_pictures, read_records


@pytest.fixture(scope="module")
def frames(prepared: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    pictures = read_pictures(prepared)

    def frame(split: str) -> pd.DataFrame:
        records = [r for r in read_records(prepared, split) if r.task == "qa"][:6]
        rows = [(r.person_id, pictures[r.images[0]], r.question, r.answer, list(r.secrets)) for r in records]
        return pd.DataFrame(rows, columns=["person", "image", "question", "answer", "private"])

    return frame("forget"), frame("retain")


@pytest.fixture(scope="module")
def run(small_model, frames, tmp_path_factory):
    model, encoder = small_model
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        done = viker.unlearn(copy.deepcopy(model), encoder.processor, *frames, epochs=1, lora_r=2)
        done.table = done.evaluate(max_new_tokens=4)
        assert list(Path.cwd().iterdir()) == []
    return done


def test_the_adapter_learns_and_the_model_under_it_stays_as_it_was(run, small_model) -> None:
    before = small_model[0].state_dict()
    with torch.no_grad():
        for name, value in run.model.get_base_model().state_dict().items():
            if "lora" not in name:
                assert torch.equal(value, before[name.replace(".base_layer", "")]), name
    assert any(value.abs().sum() > 0 for name, value in run.model.named_parameters() if "lora_B" in name)
    trained = {record.id for record in run.splits["forget"] if record.task == "qa"}
    assert len(run.loss) == 3 and set(run.key_tokens["record_id"]) == trained


def test_metrics_are_of_both_models_and_all_frames(run, frames) -> None:
    assert run.metrics["unlearned"]["forget"]["counts"]["leakage_rate"] == len(frames[0])
    assert set(run.table.index.get_level_values("split")) == {"forget", "retain"}
    assert list(run.table.columns) == ["vanilla", "unlearned"]
    assert set(run.replies["model"]) == {"vanilla", "unlearned"}


def test_the_adapter_is_saved_where_asked(run, tmp_path: Path) -> None:
    folder = run.save(tmp_path / "adapter")
    assert sorted(p.name for p in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_the_heat_map_is_the_teachers_entropy(run, frames) -> None:
    row = frames[0].iloc[0]
    heat_map = run.explain(row)
    records = run.key_tokens[run.key_tokens["record_id"] == run.key_tokens["record_id"].iloc[0]]
    assert heat_map.tokens["entropy"].tolist() == pytest.approx(records["entropy"].tolist(), abs=1e-5)
    assert "".join(heat_map.tokens["text"]) == f" {row.answer}⟨end⟩"
    assert heat_map.html.count("<span style=") == len(records) + 1
    axes = heat_map.figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == heat_map.tokens["entropy"].tolist()
    again = viker.teacher.explain(run.model, run.processor, row, list(run.irrelevant.values()))
    assert again.tokens.equals(heat_map.tokens)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answer": None}, "forget, row 1, answer: empty"),
        ({"private": "Atlantis"}, "forget, row 1, private: 'Atlantis' isn't in the answer"),
        ({"image": b"no picture"}, "forget, row 1, image: "),
        ({"image": "gone.png"}, "forget, row 1, image: .*gone.png"),
    ],
)
def test_an_error_names_frame_row_and_column(frames, change: dict, problem: str) -> None:
    rows = frames[0].to_dict("records")
    rows[1] |= change
    with pytest.raises(UserError, match=problem):
        read_frame(pd.DataFrame(rows), "forget")


def test_a_column_that_is_missing_is_named(frames) -> None:
    with pytest.raises(UserError, match="retain: no column answer; found person, image"):
        read_frame(frames[1].drop(columns="answer"), "retain")


@pytest.mark.parametrize(
    ("settings", "problem"), [({"epoch": 3}, "did you mean 'epochs'"), ({"shard": True}, "shard: not in a notebook")]
)
def test_a_wrong_setting_is_refused_before_anything_runs(small_model, frames, settings: dict, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        viker.unlearn(small_model[0], small_model[1].processor, *frames, **settings)


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = "import sys, viker; print([n for n in ('torch', 'pandas', 'numpy', 'transformers') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        viker.nothing  # noqa: B018
