"""What every command of ``viker`` has in common: help with an example, a hint for a typing error, JSON."""

import json
import shlex
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.main import get_command
from typer.testing import CliRunner

from pipelines.cli.examples import EXAMPLES
from pipelines.cli.main import STAGES, app
from pipelines.cli.params import schema_of_params

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **options):
    return CliRunner().invoke(app, arguments, **options)


def commands() -> dict[str, object]:
    """Every command by its words after 'viker'."""
    group = get_command(app)
    context = group.make_context("viker", [], resilient_parsing=True)
    found = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = getattr(command, "commands", None)
        found |= {f"{name} {sub}": one for sub, one in below.items()} if below else {name: command}
    return found


def test_every_command_has_an_example_and_takes_it():
    found = commands()
    assert set(EXAMPLES) == set(found)
    for name, example in EXAMPLES.items():
        words = shlex.split(example)
        assert words[: len(name.split()) + 1] == ["viker", *name.split()]
        found[name].make_context(name, words[len(name.split()) + 1 :])
        assert found[name].epilog == f"Example: `{example}`"


OWN_OUTPUT = {
    *STAGES,  # they write JSON files
    *("run", "repro"),  # they run the stages
    "demo",  # it serves a page
    *("init", "params upgrade", "params schema"),  # they write a file, or JSON in any case
    *("sign", "audit verify", "purge", "certificate", "recheck"),  # they write a file that says it, or nothing
}


def test_every_other_command_says_what_it_did_as_json():
    with_json = {name for name, one in commands().items() if any("--json" in param.opts for param in one.params)}
    assert set(commands()) - with_json == OWN_OUTPUT


@pytest.mark.parametrize("name", ["gate", "request list", "sweep"])
def test_help_shows_the_example_and_no_type_of_a_switch(name):
    for above in ((), name.split()[:1]):
        assert "<bool>" not in run(*above, "--help").output
    shown = run(*name.split(), "--help", env={"COLUMNS": "100"}).output
    assert EXAMPLES[name] in shown and "<bool>" not in shown


@pytest.mark.parametrize(
    ("typed", "meant"), [("reprro", "repro"), ("evalute", "evaluate"), ("verifi", "verify"), ("request lisst", "list")]
)
def test_a_typing_error_is_answered_with_the_command_that_was_meant(typed, meant):
    result = run(*typed.split(), env={"COLUMNS": "120"})
    assert result.exit_code == 2
    assert f"'{meant}'" in result.output


def test_completion_can_be_installed():
    assert "--install-completion" in run("--help").output


def test_the_schema_takes_params_yaml_and_refuses_what_the_program_refuses(tmp_path):
    out = tmp_path / "schema.json"
    assert run("params", "schema", "--out", str(out)).exit_code == 0
    schema = json.loads(out.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    values = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    jsonschema.validate(values, schema)
    for section, key, value in (("unlearn", "epochz", 3), ("evaluate", "batch_size", 0), ("sample", "kinds", ["cat"])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | {section: values[section] | {key: value}}, schema)


def test_the_schema_in_the_tree_is_that_of_the_program():
    assert json.loads((ROOT / "params/schema.json").read_text()) == json.loads(run("params", "schema").output)
    first = (ROOT / "params.yaml").read_text().partition("\n")[0]
    assert first == "# yaml-language-server: $schema=params/schema.json"
    assert schema_of_params()["additionalProperties"] is False


class TestInit:
    def test_four_answers_make_a_commented_file_that_is_valid(self, tmp_path):
        out = tmp_path / "params.yaml"
        answers = "s3://bucket/people\nllava-hf/llava-1.5-7b-hf\n001, 017\n\n"
        result = run("init", "--out", str(out), input=answers)
        assert result.exit_code == 0, result.output
        values = YAML(typ="safe", pure=True).load(out)
        assert values["prepare"]["source"] == "s3://bucket/people"
        assert values["prepare"]["forget_ids"] == ["001", "017"]
        assert values["finetune"]["deployed_model"] == "llava-hf/llava-1.5-7b-hf"
        assert values["unlearn"]["precision"] == "bfloat16"
        assert out.read_text().count("#") > 60
        assert run("validate", "--params", str(out)).exit_code == 0

    def test_options_answer_too_and_an_existing_file_is_left_alone(self, tmp_path):
        out = tmp_path / "params.yaml"
        arguments = ("--source", "data/mine", "--model", "none", "--forget", "requests", "--precision", "float32")
        assert run("init", "--out", str(out), *arguments).exit_code == 0
        written = out.read_text()
        assert "deployed_model: null" in written
        refused = run("init", "--out", str(out), *arguments)
        assert "is there already" in str(refused.exception)
        assert out.read_text() == written

    def test_a_wrong_answer_leaves_no_file(self, tmp_path):
        out = tmp_path / "params.yaml"
        arguments = ("--source", "data", "--model", "none", "--forget", "requests", "--precision", "float23")
        assert "float23" in str(run("init", "--out", str(out), *arguments).exception)
        assert not out.exists()


class TestValidate:
    def test_the_parameters_in_the_tree_are_valid(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        assert json.loads(run("validate", "--json").output) == {"valid": True, "problems": [], "pending_requests": 0}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"unlearn": {"epochs": 0}}, "unlearn.epochs"),
            ({"prepare": {"source": "no/such/data"}}, "prepare.source is 'no/such/data'"),
            ({"finetune": {"deployed_model": "./gone"}}, "finetune.deployed_model is './gone'"),
            ({"finetune": {"deployed_model": None}}, "needs prepare.base_set: true"),
            ({"gate": {"policy": "./own.yaml"}}, "own.yaml"),
        ],
    )
    def test_what_is_wrong_is_named_and_fails(self, tmp_path, monkeypatch, change, said):
        monkeypatch.chdir(ROOT)
        values = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
        for section, keys in change.items():
            values[section] |= keys
        path = tmp_path / "params.yaml"
        YAML(typ="safe", pure=True).dump(values, path)
        result = run("validate", "--params", str(path), "--json")
        assert result.exit_code == 1
        told = json.loads(result.output)
        assert told["valid"] is False and any(said in problem for problem in told["problems"])
