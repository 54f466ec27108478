"""What data can show of each rule at best, before anything is measured."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import viker.gate.power
from components.gate.__main__ import app
from components.gate.show import show_power
from tests.viker.gate.conftest import Tree
from viker.attacks.base.targets import Targets
from viker.data.records import Record, read_records
from viker.gate.evidence import best_bound
from viker.gate.power import Power, power
from viker.gate.settings import GateParams

POLICY = """
about: A test's.
rules:
  - {rule: unlearned.forget.leakage_rate <= 0.02, bound: 0.25, protects: Leaks.}
  - {rule: unlearned.forget.people_leaked_rate <= 0, protects: Leaks.}
  - {rule: unlearned.real.leakage_rate <= 0.3, protects: No leak of people to forget.}
  - {rule: unlearned.forget.leakage_rate <= 0.5 * vanilla.forget.leakage_rate, protects: Not by a number.}
  - {rule: unlearned.forget.cloze_accuracy >= 0.3, protects: No limit of a leak.}
  - {rule: unlearned.attacks.text_only.leakage_rate < 1, bound: 0.05, protects: Leaks.}
require: []
"""


@pytest.fixture
def policy(tmp_path: Path) -> GateParams:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return GateParams(policy=str(tmp_path / "policy.yaml"), rules=["unlearned.test.leakage_rate <= 0.2"], require=[])


def test_rules_that_limit_a_leak_by_a_number_say_what_so_many_people_show_and_how_many_it_takes(
    prepared, params, policy, monkeypatch
) -> None:
    of_split = {"forget": {"people": 20, "samples": 80}, "test": {"people": 3, "samples": 3}}
    monkeypatch.setattr(viker.gate.power, "question_counts", lambda *_: of_split)
    attacked = len({record.person_id for record in read_records(prepared, "forget")})
    assert power(policy, prepared, params.evaluate) == [
        Power("unlearned.forget.leakage_rate <= 0.02", 20, best_bound(20), 149, 11),
        Power("unlearned.forget.people_leaked_rate <= 0", 20, best_bound(20), None, None),
        Power("unlearned.attacks.text_only.leakage_rate < 1", attacked, best_bound(attacked), None, 59),
        Power("unlearned.test.leakage_rate <= 0.2", 3, best_bound(3), 14, None),
    ]


@pytest.mark.parametrize(
    ("images", "task", "people"), [((), "generation", 0), (("p",), "cloze", 0), (("p",), "generation", 1)]
)
def test_attacks_rest_on_whom_open_questions_with_a_picture_are_about(
    params, policy, monkeypatch, images, task, people
) -> None:
    record = Record("1/0", "1", task, "image_text", "Where?", "In Oslo.", secrets=("Oslo",), images=images)
    monkeypatch.setattr(
        viker.gate.power, "question_counts", lambda *_: {"forget": {"people": 4}, "test": {"people": 4}}
    )
    monkeypatch.setattr(viker.gate.power, "read_targets", lambda _: Targets([record], [], [], []))
    by_attack = power(policy, Path(), params.evaluate)[2]
    assert (by_attack.people, by_attack.best) == (people, best_bound(1) if people else None)


def test_nobody_shows_nothing() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    rule = "unlearned.forget.people_leaked_rate <= 0.02"
    show_power([Power("a rule", 0, None, 59, None), Power(rule, 4, best_bound(4), None, 11)], console)
    text = console.export_text()
    lines = [line.split() for line in text.splitlines()]
    assert ["a", "rule", "0", "–", "59", "–"] in lines
    assert [*rule.split()[:1], "4", "≤", "53", "%", "–", "11"] in lines, "the rule is not broken within its name"


def test_the_command_shows_it_and_judges_nothing(tree: Tree) -> None:
    tree.metrics.unlink()
    result = CliRunner().invoke(app, [*tree.options(), "--power"])
    assert result.exit_code == 0 and "for bound" in result.output
    assert not tree.out.exists()
