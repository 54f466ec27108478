import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from components.contract.params import load_params
from pipelines.cli.profile import apply_profiles, profile
from viker.core.console import stage_app
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "params"
FILES = {path.stem: path for path in PROFILES.rglob("*.yaml")}
MODELS = {path.stem for path in (PROFILES / "models").glob("*.yaml")}
DATA = {path.stem for path in (PROFILES / "data").glob("*.yaml")}


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
        assert apply_profiles(["long"], params, folder) == ["unlearn.epochs"]
        after = params.read_text().splitlines()
        assert [line for line, old in zip(after, before, strict=True) if line != old] == ["  epochs: 99"]

    def test_a_list_is_replaced_as_a_whole(self, params: Path, folder: Path) -> None:
        (folder / "noisy.yaml").write_text("sample:\n  kinds: [noise, pet]\n")
        apply_profiles(["noisy"], params, folder)
        assert load_params(params).sample.kinds == ["noise", "pet"]
        assert "# scene | pet | noise: drawn" in params.read_text()

    def test_null_stays_written_out(self, params: Path, folder: Path) -> None:
        (folder / "own.yaml").write_text("seed: 9\nfinetune:\n  deployed_model: null\n")
        assert apply_profiles(["own"], params, folder) == ["seed", "finetune.deployed_model"]
        assert "deployed_model: null #" in params.read_text()

    def test_another_method_replaces_the_settings_of_the_last_one(self, params: Path, folder: Path) -> None:
        (folder / "npo.yaml").write_text("unlearn:\n  method: {name: npo, beta: 0.2}\n")
        assert apply_profiles(["npo"], params, folder) == ["unlearn.method"]
        assert read(params)["unlearn"]["method"] == {"name": "npo", "beta": 0.2}

    def test_a_setting_of_the_method_changes_alone(self, params: Path, folder: Path) -> None:
        (folder / "strong.yaml").write_text("unlearn:\n  method: {name: viker, lambda: 9.0}\n")
        assert apply_profiles(["strong"], params, folder) == ["unlearn.method.lambda"]

    def test_the_same_profile_again_changes_nothing(self, params: Path) -> None:
        apply_profiles(["tofu"], params, PROFILES)
        before = params.read_bytes()
        assert apply_profiles(["tofu"], params, PROFILES) == []
        assert params.read_bytes() == before

    def test_comments_stay_one_space_behind_their_values(self, params: Path, folder: Path) -> None:
        (folder / "long.yaml").write_text(
            "unlearn:\n  lr_scheduler: cosine\nfinetune:\n  deployed_model: a/long/path\n"
        )
        (folder / "back.yaml").write_text(
            "unlearn:\n  lr_scheduler: constant\nfinetune:\n  deployed_model: components/finetune/vanilla\n"
        )
        before = params.read_bytes()
        apply_profiles(["long"], params, folder)
        assert "lr_scheduler: cosine # constant" in params.read_text()
        apply_profiles(["back"], params, folder)
        assert params.read_bytes() == before

    @settings(max_examples=25)  # each reads and writes all of params.yaml
    @given(epochs=st.integers(1, 10**6), lr=st.floats(1e-9, 1.0), share=st.floats(0.01, 0.99))
    def test_what_a_profile_says_is_what_the_stages_read(self, tmp_path_factory, epochs, lr, share) -> None:
        where = tmp_path_factory.mktemp("profile")
        shutil.copy(ROOT / "params.yaml", where / "params.yaml")
        (where / "profiles").mkdir()
        text = f"unlearn: {{epochs: {epochs}, lr: {lr!r}}}\nprepare:\n  forget_share: {share!r}\n"
        (where / "profiles/any.yaml").write_text(text)
        apply_profiles(["any"], where / "params.yaml", where / "profiles")
        written = read(where / "params.yaml")
        assert (written["unlearn"]["epochs"], written["unlearn"]["lr"]) == (epochs, lr)
        assert written["prepare"]["forget_share"] == share


class TestComposition:
    def test_the_later_profile_wins(self, params: Path, folder: Path) -> None:
        (folder / "one.yaml").write_text("seed: 1\nunlearn:\n  epochs: 1\n  lora_r: 2\n")
        (folder / "two.yaml").write_text("seed: 2\nunlearn:\n  epochs: 3\n")
        apply_profiles(["one", "two"], params, folder)
        written = load_params(params)
        assert (written.seed, written.unlearn.epochs, written.unlearn.lora_r) == (2, 3, 2)

    def test_the_registered_name_is_that_of_all_profiles(self, params: Path) -> None:
        apply_profiles(["llava-1.5-13b", "tofu"], params, PROFILES)
        assert load_params(params).register_.model_name == "viker-llava-1.5-13b-tofu-adapter"

    def test_two_names_joined_by_a_hyphen_are_the_two_profiles(self, params: Path, tmp_path: Path) -> None:
        other = Path(shutil.copy(params, tmp_path / "other.yaml"))
        joined = apply_profiles(["llava-1.5-7b-mllmu-10"], params, PROFILES)
        assert joined == apply_profiles(["llava-1.5-7b", "mllmu-10"], other, PROFILES)
        assert params.read_bytes() == other.read_bytes()


class TestErrors:
    def test_an_unknown_profile_lists_those_that_exist(self, params: Path, folder: Path) -> None:
        (folder / "one.yaml").write_text("seed: 1\n")
        (folder / "two.yaml").write_text("seed: 2\n")
        with pytest.raises(UserError, match=r"no profile 'three' in .*: there is one, two\."):
            apply_profiles(["three"], params, folder)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("unlearn:\n  epoch: 3\n", "unknown key 'unlearn.epoch' .*did you mean 'epochs'"),
            ("unlaern:\n  epochs: 3\n", "unknown key 'unlaern'"),
            ("prepare:\n  forget_share: 1\n", "'prepare.forget_share' is 1"),
            ("unlearn: 3\n", "'unlearn'"),
            ("a: [\n", "not valid YAML"),
            ("seed: ${nothing}\n", "can't be composed.*nothing"),
            ("", "expected sections"),
        ],
    )
    def test_what_is_wrong_in_a_profile_names_it_and_changes_nothing(self, params, folder, text, problem) -> None:
        (folder / "bad.yaml").write_text(text)
        before = params.read_bytes()
        with pytest.raises(UserError, match=problem) as raised:
            apply_profiles(["bad"], params, folder)
        assert str(raised.value).startswith(f"{folder / 'bad.yaml'}: ")
        assert params.read_bytes() == before
        assert sorted(path.name for path in params.parent.iterdir()) == ["params.yaml", "profiles"]

    def test_what_was_wrong_before_names_the_parameters(self, params: Path) -> None:
        params.write_text(params.read_text().replace("seed: 7", "seed: seven"))
        with pytest.raises(UserError, match=r"params\.yaml: 'seed' is 'seven'"):
            apply_profiles(["tofu"], params, PROFILES)


class TestProfilesThatComeWithTheProject:
    @pytest.mark.parametrize("name", sorted(FILES))
    def test_each_is_valid(self, params: Path, name: str) -> None:
        apply_profiles([name], params, PROFILES)
        load_params(params)

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_the_demo_undoes_every_key_of_each(self, name: str) -> None:
        assert keys(read(FILES[name])) <= keys(read(PROFILES / "demo.yaml"))

    def test_the_demo_is_what_params_yaml_comes_with(self, params: Path) -> None:
        unchanged = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "params.yaml"], cwd=ROOT, check=False)
        if unchanged.returncode != 0:
            pytest.skip("params.yaml differs from the committed one, or this is no git work tree")
        assert apply_profiles(["demo"], params, PROFILES) == []

    @pytest.mark.parametrize("model", sorted(MODELS))
    @pytest.mark.parametrize("data", sorted(DATA))
    def test_every_model_goes_with_every_data_set_at_the_papers_settings(self, params, model: str, data: str) -> None:
        apply_profiles([model, data], params, PROFILES)
        written = load_params(params)
        paper = {"epochs": 1, "batch_size": 2, "lr": 5e-6, "lora_r": 8}
        assert {key: getattr(written.unlearn, key) for key in paper} == paper
        assert (written.unlearn.method.name, written.unlearn.method.lambda_) == ("viker", 1.0)
        assert not written.unlearn.method.retain.active
        assert written.unlearn.lora_alpha == 16
        assert (written.sample.kinds, written.sample.k) == (["scene"], 5)
        assert written.finetune.deployed_model == f"llava-hf/{model}-hf"
        benchmark, share = data.split("-")
        expected = {
            "mllmu": ("hf://MLLMMU/MLLMU-Bench", "mllmu"),
            "clear": ("hf://therem/CLEAR", "clear"),
            "umu": ("hf://linbojunzi/UMU-bench", "umu"),
        }[benchmark]
        evaluate = written.evaluate
        assert (written.prepare.source, evaluate.protocol) == expected
        assert (written.prepare.format, written.prepare.revision) == (benchmark, "main")
        assert written.prepare.forget_share == int(share) / 100
        assert written.register_.experiment == f"viker-{model}-{data}"
        assert written.register_.model_name == f"viker-{model}-{data}-adapter"

    @pytest.mark.parametrize("names", [["llava-1.5-7b-mllmu-10"], ["llava-1.5-13b", "clear-01"], ["tofu"], ["scratch"]])
    def test_the_demo_restores_params_yaml_to_the_byte(self, params: Path, names: list[str]) -> None:
        before = params.read_bytes()
        apply_profiles(names, params, PROFILES)
        apply_profiles(["demo"], params, PROFILES)
        assert params.read_bytes() == before

    def test_tofu_reads_what_its_converter_writes(self, params: Path) -> None:
        apply_profiles(["tofu"], params, PROFILES)
        made = load_params(params)
        assert made.prepare.source == "data/tofu" and made.sample.kinds == ["photo"]


def test_the_command_says_which_keys_changed(params: Path, folder: Path) -> None:
    (folder / "long.yaml").write_text("unlearn:\n  epochs: 99\n")
    arguments = ["long", "--params", str(params), "--profiles", str(folder)]
    runner, app = CliRunner(), stage_app(profile)
    assert runner.invoke(app, arguments).stdout == f"{params}: unlearn.epochs\n"
    assert "nothing to change" in runner.invoke(app, arguments).stdout


def test_without_a_name_the_command_lists_the_profiles_with_their_first_comment(folder: Path) -> None:
    (folder / "models").mkdir()
    (folder / "models/big.yaml").write_text("# A big model\nseed: 1\n")
    (folder / "plain.yaml").write_text("seed: 2\n")
    listed = CliRunner().invoke(stage_app(profile), ["--profiles", str(folder)]).stdout
    assert listed == f"{folder}:\n  plain\n{folder}/models:\n  big    A big model\n"
