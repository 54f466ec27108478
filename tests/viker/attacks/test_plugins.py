"""Attacks are found by being there: in viker.attacks, or in a package that declares an entry point."""

import subprocess
import sys

import pytest

from components.contract.params import load_params
from tests.conftest import ROOT
from tests.viker.attacks.conftest import SEED
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.perform import run_attacks
from viker.core.errors import UserError
from viker.evaluation.settings import EvaluateParams
from viker.gate.recount_attacks import recount_attacks

SHOUTING = '''
"""Shouting: the question in capitals."""

from dataclasses import replace

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, ask
from viker.data.samples import sample_of


class ShoutingSettings(AttackSettings):
    """Settings of the attack shouting."""

    marks: int = 1
    """Exclamation marks."""


def run(subject, targets, settings, seed):
    """Ask every question in capitals."""
    attempts = []
    for record in targets.questions(settings.questions, seed):
        loud = replace(record, question=record.question.upper() + "!" * settings.marks)
        attempts.append(Attempt(record, sample_of(loud)))
    return Outcome(ask(subject, attempts, "shouting"))


SHOUTING = Attack("shouting", "Shouting", run, ShoutingSettings)
'''


@pytest.fixture
def shouting(tmp_path, monkeypatch):
    """A user's package with an attack, installed as pip leaves it."""
    site = tmp_path / "site"
    (site / "shouting_attack-1.0.dist-info").mkdir(parents=True)
    (site / "shouting_attack.py").write_text(SHOUTING)
    (site / "shouting_attack-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: shouting-attack\n")
    (site / "shouting_attack-1.0.dist-info/entry_points.txt").write_text(
        "[viker.attacks]\nshouting = shouting_attack\n"
    )
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("shouting_attack", None)


def params_with(tmp_path, old, new):
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return load_params(path)


def test_an_attack_of_an_installed_package_is_made_and_counted_again(shouting, subjects, targets, prepared, tmp_path):
    assert list(load_attacks())[-1] == "shouting"
    params = params_with(tmp_path, "    prefix:", "    shouting: {questions: 4, marks: 3}\n    prefix:")
    sections = params.evaluate.attacks
    assert sections["shouting"].model_dump() == {"enabled": True, "questions": 4, "marks": 3}
    blocks, rows = run_attacks(subjects, targets, {"shouting": sections["shouting"]}, SEED)
    assert len(rows) == 8
    assert rows["question"].str.endswith("!!!").all()
    rows.to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {model: {"attacks": block} for model, block in blocks.items()}
    asked = params.evaluate.model_copy(update={"attacks": {"shouting": sections["shouting"]}})
    assert recount_attacks(metrics, prepared, tmp_path / "attacks.parquet", asked, SEED, "")[0]["passed"]


def test_the_gate_names_numbers_and_replies_of_an_attack_that_is_not_installed(attacked, prepared, params, tmp_path):
    blocks, rows = attacked
    rows.assign(attack="shouting").to_parquet(tmp_path / "attacks.parquet", index=False)
    metrics = {"unlearned": {"attacks": {"shouting": blocks["unlearned"]["prefix"]}}}
    nothing = params.evaluate.model_copy(update={"attacks": {}})
    (result,) = recount_attacks(metrics, prepared, tmp_path / "attacks.parquet", nothing, SEED, "")
    assert not result["passed"]
    assert "replies under shouting, which no installed attack makes" in result["reason"]
    assert "unlearned.attacks.shouting is of no installed attack" in result["reason"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("paraphrase: {", "paraphras: {", "evaluate.attacks.paraphras.*no such attack: did you mean 'paraphrase'"),
        ("wordings: 4", "wordigs: 4", "evaluate.attacks.paraphrase.wordigs.*did you mean 'wordings'"),
        ("wordings: 4", "wordings: 0", "evaluate.attacks.paraphrase.wordings.*0.*greater than or equal to 1"),
        ("changes: [crop", "changes: [shred", "evaluate.attacks.picture_changes.changes.0.*shred.*'flip'"),
        ("steps: [2, 5", "steps: [5, 2", "evaluate.attacks.relearn_forget.steps.*expected rising numbers"),
        ("prefix: {enabled: true, questions: 200}", "prefix: true", "evaluate.attacks.prefix.*True.*valid dictionary"),
    ],
)
def test_a_wrong_section_is_named_with_what_is_allowed(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        params_with(tmp_path, old, new)


def test_sections_keep_the_order_of_the_file_and_their_defaults(params):
    values = params.evaluate.model_dump(mode="json")
    first, *_, last = values["attacks"]
    assert (first, last) == ("paraphrase", "universal_perturbation")
    reordered = EvaluateParams.model_validate(values | {"attacks": {"sampling": {}, "few_shot": {"examples": 1}}})
    assert list(reordered.attacks) == ["sampling", "few_shot"]
    assert reordered.attacks["sampling"] == params.evaluate.attacks["sampling"]
    assert reordered.attacks["few_shot"].model_dump() == {"enabled": True, "questions": 200, "examples": 1}


LIGHT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from viker.attacks.base.attack import load_attacks
assert len(load_attacks()) >= 14
"""


def test_attacks_are_found_where_only_their_settings_are_needed():
    missing = ("torch", "transformers", "peft", "sklearn", "scipy", "pandas", "pyarrow", "PIL", "tqdm")
    subprocess.run([sys.executable, "-c", LIGHT.format(missing=missing)], cwd=ROOT, check=True)
