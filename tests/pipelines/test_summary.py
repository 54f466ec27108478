"""The last screen of a run: every number and rule at 80 columns, and how to go on."""

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from pipelines.cli import closing
from pipelines.cli.closing import DIRECT
from pipelines.cli.summary import summary, table, ui_command
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]
LONGEST = "unlearned.retain.leakage_rate >= 0.85 * vanilla.retain.leakage_rate"


def split(start: float) -> dict[str, Any]:
    keys = ("leakage_rate", "rouge_l", "classification_accuracy", "cloze_accuracy")
    return {key: start + i / 100 for i, key in enumerate(keys)}


METRICS = {
    model: {name: split(base + i / 10) for i, name in enumerate(("forget", "test", "retain", "real"))}
    | {"fluency": {"gibberish_rate": 0.0, "repetition": base / 10, "perplexity": 1234.5}}
    for model, base in (("vanilla", 0.5), ("unlearned", 0.0))
}
GATE = {
    "verdict": "fail",
    "rules": [
        {"rule": LONGEST, "operator": ">=", "threshold": 0.595, "value": 0.2, "passed": False, "reason": "Too low."},
        {"rule": "a.b <= 0.1", "operator": "<=", "threshold": 0.1, "value": None, "passed": False, "reason": "Gone."},
        {"rule": "c.d <= 0.1", "operator": "<=", "threshold": 0.1, "value": 0.05, "passed": True, "reason": "Met."},
    ],
}


def printed(metrics: dict[str, Any] = METRICS, gate: dict[str, Any] = GATE, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(metrics, gate))
    return console.export_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_it_fits_80_columns_and_cuts_nothing_off() -> None:
    text = printed()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    rows = [cells(line) for line in text.split("The gate's rules")[1].splitlines() if line.startswith("│")]
    assert LONGEST.replace(" ", "") in "".join(row[1] for row in rows).replace(" ", "")


def test_every_number_stands_under_its_heading() -> None:
    lines = printed().splitlines()
    heading = next(cells(line.replace("┃", "│")) for line in lines if "Leakage" in line)
    assert heading[-4:] == ["Leakage", "ROUGE-L", "Classification", "Cloze"]
    start = next(i for i, line in enumerate(lines) if "forget" in line and "vanilla" in line)
    rows = [cells(line)[-5:] for line in lines[start:] if "│" in line][:8]
    assert rows[0] == ["vanilla", "0.50", "0.51", "0.52", "0.53"]
    assert rows[3] == ["unlearned", "0.10", "0.11", "0.12", "0.13"]
    assert rows[7] == ["unlearned", "0.30", "0.31", "0.32", "0.33"]


def test_every_rule_is_shown_with_value_threshold_and_mark() -> None:
    text = printed(width=120)
    assert re.search(rf"✗ │ {re.escape(LONGEST)} │ +0\.2 │ +>= 0\.595", text)
    assert re.search(r"✗ │ a\.b <= 0\.1 +│ +– │ +<= 0\.1", text)
    assert re.search(r"✓ │ c\.d <= 0\.1 +│ +0\.05 │ +<= 0\.1", text)
    assert "Failed: 1 of 3 rules" in text


def test_what_is_required_and_not_met_stands_among_the_rules() -> None:
    told = {"rule": "the metrics are as evaluate wrote them", "operator": None, "threshold": None, "value": None}
    text = printed(gate=GATE | {"require": [told | {"passed": False}, told | {"rule": "fine", "passed": True}]})
    rules = text.split("The gate's rules")[1]
    assert "the metrics are as evaluate wrote them" in " ".join(rules.split())
    assert "fine" not in rules


def test_captions_say_which_values_are_good() -> None:
    text = " ".join(printed(width=100).split())
    assert "lower is better on forget and test, higher is better on retain and real" in text
    assert "lower is better; Distinct pairs: higher is better" in text


def test_a_passed_gate_says_so() -> None:
    gate = {"verdict": "pass", "rules": [rule | {"passed": True} for rule in GATE["rules"]]}
    assert "Passed: all 3 rules" in printed(gate=gate)


def test_what_was_not_measured_is_a_dash() -> None:
    text = printed(metrics={"unlearned": {"forget": {"leakage_rate": None}}})
    assert "0." not in text.split("The gate's rules")[0]
    assert text.count("–") >= 38


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        (None, ".venv/bin/mlflow ui --backend-store-uri sqlite:///mlflow.db"),
        ("sqlite:///other.db", ".venv/bin/mlflow ui --backend-store-uri sqlite:///other.db"),
        ("https://clerk:hunter2@tracking:5000", "open https://***@tracking:5000"),
        ("postgresql://clerk:hunter2@db/x", '.venv/bin/mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"'),
    ],
)
def test_the_way_to_the_runs_follows_the_tracking_uri(
    uri: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert ui_command() == command


def test_the_command_prints_the_tables_and_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name, content in (("metrics/evaluate.json", METRICS), ("metrics/gate.json", GATE), ("report/report.html", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    app = typer.Typer()
    app.command()(summary)

    result = CliRunner().invoke(app, [], env={"COLUMNS": "80"})

    assert result.exit_code == 0
    assert "report:    report/report.html\n" in result.stdout
    for step in ('viker ask "QUESTION" --compare', "viker demo", "viker request add ID --reason erasure", "make ui"):
        assert step in result.stdout
    assert "'viker':\n  .venv/bin/mlflow ui --backend-store-uri sqlite:///mlflow.db\n" in result.stdout


class TestClosing:
    """The screen without --all: the answer, people with bounds, what is kept, and a bar for each attack."""

    METRICS = METRICS | {
        model: METRICS[model]
        | {
            name: METRICS[model][name] | {"people_leaked_rate": rate, "counts": {"people_leaked_rate": 4}}
            for name in DIRECT
        }
        | {"attacks": {"prefix": {"leakage_rate": rate / 2, "chance_rate": 0.07, "above_chance": 0, "people": 4}}}
        for model, rate in (("vanilla", 1.0), ("unlearned", 0.5))
    }

    def shown(self, metrics: dict[str, Any], width: int = 80) -> str:
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(closing.screen(metrics, GATE))
        return console.export_text()

    def test_it_shows_what_was_judged_in_80_columns(self) -> None:
        text = self.shown(self.METRICS)
        assert max(map(len, text.splitlines())) <= 80 and "…" not in text
        assert re.search(r"Asked directly +4 of 4 +2 of 4 +at most 90", text)
        assert re.search(r"everyone else: private values right +0\.70 +0\.20", text)
        assert re.search(r"Answer begun +0\.50 +0\.25 +0\.07 +█{5}·{15}", text)
        assert text.startswith("✗ Failed") and f"✗ {LONGEST}: Too low." in " ".join(text.split())
        assert "ROUGE-L of the replies about them stays at 0.01" in text

    def test_what_was_not_measured_is_a_dash_and_no_error(self) -> None:
        text = self.shown({})
        assert text.count("–") == 3 * len(closing.KEPT) and "not measured" in text

    def test_json_has_numbers(self) -> None:
        told = closing.facts(self.METRICS, GATE)
        assert told["attacks"]["prefix"] == {"unlearned": 0.25, "vanilla": 0.5, "chance_rate": 0.07}
        assert told["forget"]["test"]["unlearned"]["people"] == 4
        assert (told["verdict"], told["rules"], len(told["failed"])) == ("fail", 3, 2)


def test_without_metrics_the_stage_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'viker evaluate'"):
        summary(ROOT / "params.yaml", tmp_path / "evaluate.json", tmp_path / "gate.json", tmp_path / "report.html")
