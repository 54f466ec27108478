"""Benchmarks by lm-evaluation-harness itself, with tasks from a folder, on the shipped model with an adapter."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from pipelines.cli.main import app
from viker.core.errors import UserError
from viker.evaluation.general_ability import drawn_pictures, general_questions
from viker.evaluation.harness import Asking, compared, lost, run_benchmarks
from viker.models.loading import language_layers, load_model

ROOT = Path(__file__).parents[3]
SHIPPED = str(ROOT / "components/finetune/vanilla")
TASK = """
task: {kind}_here
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/{kind}.jsonl}}, cache_dir: {folder}/cache}}
test_split: test
metadata: {{version: 2.0}}
"""
SEEN = (
    TASK
    + """
output_type: generate_until
doc_to_image: !function pictures.of
doc_to_text: "<image>{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 16, do_sample: false, temperature: 0.0}}
filter_list:
  - {{name: strict, filter: [{{function: remove_whitespace}}, {{function: take_first}}]}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
)
KNOWN = (
    TASK
    + """
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{answers}}}}"
doc_to_target: right
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    """A folder with a task on drawn pictures, answered in words, and one of choices without pictures."""
    folder = tmp_path_factory.mktemp("tasks")
    for name, content in drawn_pictures().items():
        (folder / f"{name}.png").write_bytes(content)
    lines: dict[str, list[str]] = {"seen": [], "known": []}
    for one in general_questions():
        doc = vars(one) | {"answer": one.answers[one.right]}
        lines[one.kind].append(json.dumps(doc))
    for kind, docs in lines.items():
        (folder / f"{kind}.jsonl").write_text("\n".join(docs))
    (folder / "seen_here.yaml").write_text(SEEN.format(folder=folder, kind="seen"))
    (folder / "known_here.yaml").write_text(KNOWN.format(folder=folder, kind="known"))
    code = f"from PIL import Image\n\ndef of(doc):\n    return [Image.open('{folder}/' + doc['picture'] + '.png')]\n"
    (folder / "pictures.py").write_text(code)
    return folder


@pytest.fixture(scope="module")
def damaged():
    """The shipped model with an adapter that makes it blind and dumb, and its processor."""
    model, processor = load_model(SHIPPED, SHIPPED)
    torch.manual_seed(7)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=language_layers(model), init_lora_weights=False))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.mul_(20)
    return adapted.eval(), processor


def test_both_models_are_scored_by_the_harness_with_and_without_pictures(damaged, tasks) -> None:
    result = run_benchmarks(*damaged, ["seen_here", "known_here"], Asking(batch_size=4, include=tasks), 7)
    assert result["harness"].startswith("lm_eval ")
    seen, known = result["tasks"]["seen_here"], result["tasks"]["known_here"]
    assert (seen["samples"], seen["version"], known["samples"]) == (24, 2.0, 24)
    score = seen["scores"]["exact_match,strict"]
    assert score["better"] == "higher"
    assert score["vanilla"]["value"] >= 0.9 and score["unlearned"]["value"] <= 0.2
    assert score["difference"] == score["unlearned"]["value"] - score["vanilla"]["value"]
    assert set(known["scores"]) == {"acc,none"} and known["scores"]["acc,none"]["vanilla"]["stderr"] > 0
    assert "seen_here exact_match,strict" in lost(result["tasks"], 0.95)


def test_what_was_lost_goes_by_what_the_task_calls_better() -> None:
    def score(better, before, now):
        return {"better": better, "vanilla": {"value": before}, "unlearned": {"value": now}}

    tasks = {
        "t": {
            "scores": {
                "kept": score("higher", 0.80, 0.76),
                "fell": score("higher", 0.80, 0.75),
                "rose": score("lower", 10.0, 10.6),
                "held": score("lower", 10.0, 10.5),
                "nobody knows": score(None, 1.0, 0.0),
            }
        }
    }
    assert lost(tasks, 0.95) == ["t fell", "t rose"]


def test_a_score_without_an_error_has_none() -> None:
    def run(value):
        return {
            "results": {"t": {"alias": "t", "bleu,none": value, "bleu_stderr,none": "N/A"}},
            "versions": {"t": 1},
            "n-samples": {"t": {"original": 9, "effective": 5}},
            "higher_is_better": {"t": {"bleu": True}},
        }

    assert compared(run(0.5), run(0.25)) == {
        "t": {
            "version": 1,
            "samples": 5,
            "scores": {
                "bleu,none": {
                    "better": "higher",
                    "vanilla": {"value": 0.5, "stderr": None},
                    "unlearned": {"value": 0.25, "stderr": None},
                    "difference": -0.25,
                }
            },
        }
    }


def test_an_unknown_task_is_named_with_those_most_like_it(damaged) -> None:
    with pytest.raises(UserError, match="'mmmu_vall': lm-evaluation-harness has no such task; did you mean 'mmmu_val'"):
        run_benchmarks(*damaged, ["mmmu_vall"], Asking(), 7)


def test_data_that_cannot_be_loaded_are_an_error_of_the_task(damaged, tmp_path) -> None:
    (tmp_path / "known_here.yaml").write_text(KNOWN.format(folder=tmp_path, kind="known"))
    with pytest.raises(UserError, match=r"known_here: .*known\.jsonl"):
        run_benchmarks(*damaged, ["known_here"], Asking(include=tmp_path), 7)


def test_the_command_shows_and_writes_both_and_exits_with_3_where_too_much_was_lost(
    damaged, tasks, tmp_path, monkeypatch
) -> None:
    damaged[0].save_pretrained(tmp_path / "adapter")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    asked = ["benchmark", "seen_here", "--include", str(tasks), "--limit", "8", "--model", "adapter"]
    done = CliRunner().invoke(app, [*asked, "--vanilla", SHIPPED, "--least-kept", "0.95"], env={"COLUMNS": "120"})
    assert done.exit_code == 3, done.output
    (row,) = (line for line in done.output.splitlines() if "exact_match" in line and "│" in line)
    assert "1.000 ± 0.000" in row and "seen_here" in row
    assert "lost: below 95 % of the vanilla model's: seen_here exact_match,strict" in done.output
    written = json.loads(Path("metrics/benchmarks.json").read_text())
    assert (written["limit"], written["chat"], written["tasks"]["seen_here"]["samples"]) == (8, True, 8)
