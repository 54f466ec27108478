"""The common suite over every method that is there, and what makes a module a plug-in."""

import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.viker.methods.checks import MethodChecks, random_inputs, settings_of
from viker.methods.base.method import Inputs, methods
from viker.training.settings import UnlearnParams

ROOT = Path(__file__).parents[3]
ABSENT = ("torch", "transformers", "peft", "accelerate", "pandas", "sklearn", "scipy", "nltk", "rouge_score")


@pytest.fixture(params=methods())
def method(request):
    return methods()[request.param]


class TestEveryMethod(MethodChecks):
    @pytest.fixture
    def loss_of(self, method):
        return lambda inputs: method(inputs, settings_of(method))


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_is_that_of_the_formula_written_out_in_the_methods_own_test(method, seed):
    written_out = import_module(f"tests.viker.methods.test_{method.name}").written_out
    inputs, settings = random_inputs(seed), settings_of(method)
    assert method(inputs, settings)["loss"].item() == pytest.approx(written_out(inputs, settings), rel=1e-12)


def test_no_method_has_a_retain_term_that_was_not_asked_for(method):
    settings = settings_of(method)
    assert not settings.retain.active and method.described(settings) == method.heading
    assert method.inputs_of(settings) == set(method.needs)


@pytest.mark.parametrize("term", ["kl", "nll"])
def test_a_retain_term_is_named(method, term):
    asked = {"retain": {"term": term, "weight": 0.5}}
    if not method.unlearns:
        with pytest.raises(ValidationError, match="retain samples alone"):
            settings_of(method, **asked)
        return
    settings = settings_of(method, **asked)
    assert method.described(settings) == f"{method.heading} + retain {term.upper()}"
    assert {"retain_logits", "retain_answers"} <= method.inputs_of(settings)
    without = settings_of(method, retain={"term": term, "weight": 0.0})
    assert method.described(without) == method.heading


def test_a_method_says_what_it_needs_where_it_is_from_and_what_its_parts_are(method):
    assert set(method.needs) <= {field.name for field in fields(Inputs)}
    assert "arXiv" in method.source
    assert set(method(random_inputs(), settings_of(method))) <= {"loss", "ga", *method.parts}


def test_a_loss_looks_at_nothing_but_what_it_needs(method):
    inputs = random_inputs()
    needed = Inputs(**{name: getattr(inputs, name) for name in {*method.needs, "logits", "answers"}})
    parts = method(inputs, settings_of(method))
    assert {name: value.item() for name, value in method(needed, settings_of(method)).items()} == {
        name: value.item() for name, value in parts.items()
    }


def test_the_parameters_take_its_settings_and_refuse_other_keys(method, params):
    section = params.unlearn.model_dump(by_alias=True)
    settings = settings_of(method)
    values = settings.model_dump(by_alias=True)
    assert UnlearnParams(**section | {"method": values}).method == settings
    with pytest.raises(ValidationError, match="no_such_key"):
        UnlearnParams(**section | {"method": values | {"no_such_key": 1}})


def test_the_name_alone_takes_the_defaults(params):
    section = params.unlearn.model_dump(by_alias=True)
    assert UnlearnParams(**section | {"method": "npo"}).method == methods()["npo"].settings()


def test_settings_are_read_where_no_library_that_computes_is_installed():
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))\n"
        "from viker.training.settings import UnlearnParams\n"
        "from viker.methods.base.method import methods\n"
        "print(*methods())"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == list(methods())


def test_a_package_brings_a_method_by_its_entry_point(tmp_path):
    (tmp_path / "others.py").write_text(
        "from typing import Literal\n"
        "from viker.methods.base.method import FORGET, Method, MethodSettings\n"
        "class Half(MethodSettings):\n"
        "    name: Literal['half'] = 'half'\n"
        "    share: float = 0.5\n"
        "METHOD = Method(Half, lambda logits, answers, share: {}, FORGET, source='none', options=('share',))\n"
    )
    (tmp_path / "others-1.dist-info").mkdir()
    (tmp_path / "others-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (tmp_path / "others-1.dist-info/entry_points.txt").write_text("[viker.methods]\nhalf = others\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from components.contract.params import load_params\n"
        "from viker.training.settings import UnlearnParams\n"
        "section = load_params(Path('params.yaml')).unlearn.model_dump(by_alias=True)\n"
        "print(UnlearnParams(**section | {'method': {'name': 'half', 'share': 0.25}}).method.share)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == "0.25\n", result.stderr
