import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.contract.params import load_params
from pipelines.cli.profile import apply_profile, profile
from viker.core.console import stage_app
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "params"
NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


def keys(values: dict, above: str = "") -> set[str]:
    found = set()
    for key, value in values.items():
        found |= keys(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}"}
    return found


def read(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


class TestMerge:
    def test_only_the_profiles_keys_change(self, params: Path, folder: Path) -> None:
        before = params.read_text().splitlines()
        (folder / "long.yaml").write_text("unlearn:\n  epochs: 99\n")
        assert apply_profile("long", params, folder) == ["unlearn.epochs"]
        after = params.read_text().splitlines()
        assert [line for line, old in zip(after, before, strict=True) if line != old] == ["  epochs: 99"]

    def test_a_list_is_replaced_as_a_whole(self, params: Path, folder: Path) -> None:
        (folder / "noisy.yaml").write_text("sample:\n  kinds: [noise, pet]\n")
        apply_profile("noisy", params, folder)
        assert load_params(params).sample.kinds == ["noise", "pet"]
        assert "# scene | pet | noise: drawn" in params.read_text()

    def test_null_stays_written_out(self, params: Path, folder: Path) -> None:
        (folder / "own.yaml").write_text("seed: 9\nfinetune:\n  deployed_model: null\n")
        assert apply_profile("own", params, folder) == ["seed"]
        assert "deployed_model: null #" in params.read_text()

    def test_another_method_replaces_the_settings_of_the_last_one(self, params: Path, folder: Path) -> None:
        (folder / "npo.yaml").write_text("unlearn:\n  method: {name: npo, beta: 0.2}\n")
        assert apply_profile("npo", params, folder) == ["unlearn.method"]
        assert read(params)["unlearn"]["method"] == {"name": "npo", "beta": 0.2}

    def test_a_setting_of_the_method_changes_alone(self, params: Path, folder: Path) -> None:
        (folder / "strong.yaml").write_text("unlearn:\n  method: {name: viker, lambda: 9.0}\n")
        assert apply_profile("strong", params, folder) == ["unlearn.method.lambda"]

    def test_the_same_profile_again_changes_nothing(self, params: Path) -> None:
        apply_profile("tofu", params, PROFILES)
        before = params.read_bytes()
        assert apply_profile("tofu", params, PROFILES) == []
        assert params.read_bytes() == before

    @given(epochs=st.integers(1, 10**6), lr=st.floats(1e-9, 1.0), share=st.floats(0.01, 0.99))
    def test_what_a_profile_says_is_what_the_stages_read(self, tmp_path_factory, epochs, lr, share) -> None:
        where = tmp_path_factory.mktemp("profile")
        shutil.copy(ROOT / "params.yaml", where / "params.yaml")
        text = f"unlearn: {{epochs: {epochs}, lr: {lr!r}}}\nprepare:\n  forget_share: {share!r}\n"
        (where / "any.yaml").write_text(text)
        expected = YAML(typ="safe", pure=True).load(text)
        apply_profile("any", where / "params.yaml", where)
        made = read(where / "params.yaml")
        assert made["unlearn"]["epochs"] == epochs and made["unlearn"]["lr"] == expected["unlearn"]["lr"]
        assert made["prepare"]["forget_share"] == expected["prepare"]["forget_share"]


class TestErrors:
    def test_an_unknown_profile_lists_those_that_exist(self, params: Path, folder: Path) -> None:
        (folder / "one.yaml").write_text("seed: 1\n")
        (folder / "two.yaml").write_text("seed: 2\n")
        with pytest.raises(UserError, match=r"no profile 'three' in .*: there is one, two\."):
            apply_profile("three", params, folder)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("unlearn:\n  epoch: 3\n", "unknown key 'unlearn.epoch' .*did you mean 'epochs'"),
            ("unlaern:\n  epochs: 3\n", "unknown key 'unlaern'"),
            ("prepare:\n  forget_share: 1\n", "'prepare.forget_share' is 1"),
            ("unlearn: 3\n", "'unlearn'"),
            ("a: [\n", "not valid YAML"),
            ("", "expected sections"),
        ],
    )
    def test_what_is_wrong_in_a_profile_names_it_and_changes_nothing(self, params, folder, text, problem) -> None:
        (folder / "bad.yaml").write_text(text)
        before = params.read_bytes()
        with pytest.raises(UserError, match=problem) as raised:
            apply_profile("bad", params, folder)
        assert str(raised.value).startswith(f"{folder / 'bad.yaml'}: ")
        assert params.read_bytes() == before
        assert sorted(path.name for path in params.parent.iterdir()) == ["params.yaml", "profiles"]

    def test_what_was_wrong_before_names_the_parameters(self, params: Path) -> None:
        params.write_text(params.read_text().replace("seed: 7", "seed: seven"))
        with pytest.raises(UserError, match=r"params\.yaml: 'seed' is 'seven'"):
            apply_profile("tofu", params, PROFILES)


class TestProfilesThatComeWithTheProject:
    @pytest.mark.parametrize("name", NAMES)
    def test_each_is_valid(self, params: Path, name: str) -> None:
        apply_profile(name, params, PROFILES)
        load_params(params)

    @pytest.mark.parametrize("name", NAMES)
    def test_the_demo_undoes_every_key_of_each(self, name: str) -> None:
        assert keys(read(PROFILES / f"{name}.yaml")) <= keys(read(PROFILES / "demo.yaml"))

    def test_the_demo_is_what_params_yaml_comes_with(self, params: Path) -> None:
        unchanged = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "params.yaml"], cwd=ROOT, check=False)
        if unchanged.returncode != 0:
            pytest.skip("params.yaml differs from the committed one, or this is no git work tree")
        assert apply_profile("demo", params, PROFILES) == []

    @pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("llava-")])
    def test_the_papers_profiles_have_its_settings(self, params: Path, name: str) -> None:
        apply_profile(name, params, PROFILES)
        made = load_params(params)
        assert made.unlearn.method.name == "viker"
        paper = {"retain_weight": 0, "epochs": 1, "batch_size": 2, "lr": 5e-6, "lora_r": 8}
        assert {key: getattr(made.unlearn, key) for key in paper} == paper
        assert made.unlearn.lora_alpha == 16 and made.sample.k == 5
        _, _, size, benchmark, share = name.split("-")
        assert made.prepare.format == benchmark and made.prepare.forget_share == int(share) / 100
        assert size in str(made.finetune.deployed_model)

    def test_tofu_reads_what_its_converter_writes(self, params: Path) -> None:
        apply_profile("tofu", params, PROFILES)
        made = load_params(params)
        assert made.prepare.source == "data/tofu" and made.sample.kinds == ["photo"]


def test_the_command_says_which_keys_changed(params: Path, folder: Path) -> None:
    (folder / "long.yaml").write_text("unlearn:\n  epochs: 99\n")
    arguments = ["long", "--params", str(params), "--profiles", str(folder)]
    runner, app = CliRunner(), stage_app(profile)
    assert runner.invoke(app, arguments).stdout == f"{params}: unlearn.epochs\n"
    assert "nothing to change" in runner.invoke(app, arguments).stdout
