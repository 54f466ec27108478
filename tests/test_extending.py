"""The examples of docs/extending.md work as a package of one's own, through its entry points."""

import importlib
import sys
import tomllib

import pytest
import torch

from benchmarks import touch
from components.contract.params import load_params, params_model
from components.prepare.run import run as prepare
from tests.conftest import ROOT, prepare_params
from tests.examples import examples
from tests.viker.attacks.conftest import subjects, targets  # noqa: F401 - fixtures, found here by pytest
from tests.viker.methods.checks import random_inputs
from viker.core.settings import read_yaml

PACKAGE = "my_unlearning"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, installed as pip leaves it, with the entry points that the page declares."""
    site = tmp_path_factory.mktemp("site")
    points = tomllib.loads(examples()["pyproject.toml"])["project"]["entry-points"]
    (site / PACKAGE).mkdir()
    (site / PACKAGE / "__init__.py").write_text("")
    for title, code in examples().items():
        folder, _, name = title.rpartition("/")
        if folder.startswith("viker/") or title == "tests/viker/data/interviews_data.py":
            (site / PACKAGE / name).write_text(code)
    metadata = site / f"{PACKAGE}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
    lines = [
        line for group, names in points.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        for name in ("viker.training.settings", "components.unlearn.stage"):
            patch.delitem(sys.modules, name, raising=False)  # they list the methods as they are imported
        forget_plugins()
        yield points
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    forget_plugins()


def forget_plugins() -> None:
    """Empty the caches of what was found: they hold for a process."""
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        if name.startswith(("viker.", "components.")):
            for value in vars(module).values():
                if hasattr(value, "cache_clear") and value.__module__ == name:
                    value.cache_clear()


def test_every_kind_has_an_example(package):
    assert set(package) == {"viker.methods", "viker.attacks", "viker.metrics", "viker.formats"}


def test_the_method_is_a_choice_and_its_loss_falls_with_the_answers_likelihood(package):
    from viker.methods.base.method import Inputs, methods

    values = read_yaml(ROOT / "params.yaml", "")
    values["unlearn"]["method"] = {"name": "ihl", "margin": 1.5}
    settings = params_model().model_validate(values).unlearn.method
    inputs = random_inputs()
    losses = []
    for raised in (0.0, 5.0):
        logits = inputs.logits.detach().clone()
        logits.scatter_add_(-1, inputs.answers.clamp(min=0).unsqueeze(-1), torch.full_like(logits[..., :1], raised))
        losses.append(methods()["ihl"](Inputs(logits, inputs.answers), settings)["loss"].item())
    assert losses[1] > losses[0] > 0


def test_the_attack_is_made(package, subjects, targets, tmp_path):  # noqa: F811 - a fixture
    from viker.attacks.base.perform import run_attacks

    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(
        text.replace("    probe:", examples()["params.yaml"].rstrip("\n") + "\n    probe:")
    )
    settings = load_params(tmp_path / "params.yaml").evaluate.attacks["role_play"].model_copy(update={"questions": 4})
    blocks, rows = run_attacks(subjects, targets, {"role_play": settings}, 7)
    assert rows["question"].str.startswith("You are the biographer").all()
    assert blocks["vanilla"]["role_play"]["samples"] == blocks["unlearned"]["role_play"]["samples"] == 4


def test_the_metric_is_measured(package):
    from viker.metrics.base.catalogue import all_metrics
    from viker.metrics.base.reply import Reply

    (metric,) = [metric for metric in all_metrics() if metric.name == "exact_match"]
    assert metric.of_reply(Reply(text="oslo", answer="Oslo.")) is True
    assert metric.of_reply(Reply(text="Riga", answer="Oslo.")) is False


def test_the_format_is_recognised_and_prepared(package, tmp_path):
    build = importlib.import_module(f"{PACKAGE}.interviews_data").write_interviews
    params = prepare_params(source=str(build(tmp_path / "source")), format="auto", forget_ids=["p1"])
    manifest = prepare(params, 1, tmp_path / "prepared", tmp_path / "validation")
    assert manifest["format"] == "interviews"
    assert manifest["counts"]["forget"] | {"people": 1, "records": 4} == manifest["counts"]["forget"]


@pytest.mark.slow
def test_a_stage_touches_five_files_and_is_held_by_the_tests_of_every_stage(tmp_path):
    tree = touch.copy_tree(tmp_path / "tree")
    touch.add("stage", tree)
    pytest_of_it = ("-m", "pytest", "-p", "no:cacheprovider", "-k", "notice", *touch.HELD["stage"])
    tests = touch.run(tree, sys.executable, *pytest_of_it)
    assert tests.returncode == 0, tests.stdout[-3000:]
    written = [file for file in touch.changed(tree) if not touch.GENERATED.match(file)]
    assert len(written) == 5, written
