"""``viker export``: what is written, what its logits are, what its card says, what is refused, what is pushed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from ruamel.yaml import YAML
from transformers import AutoModelForImageTextToText, AutoProcessor
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.hub import OWNER, TOKEN, accepting
from tests.pipelines.test_ask import champion  # noqa: F401 - a fixture
from tests.viker.registry.test_model_package import adapter, base  # noqa: F401 - fixtures
from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.models.adapter import load_adapter
from viker.models.loading import load_model
from viker.registry.export import Base

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["export", *arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def texts(folder: Path) -> str:
    """All files of a folder that are text, one after the other."""
    return "".join(file.read_text() for file in sorted(folder.rglob("*")) if file.suffix in (".json", ".md", ".jinja"))


def test_the_champions_adapter_is_exported_alone_and_pefts_loader_takes_it(champion, base, adapter):  # noqa: F811 - a fixture
    said = call()
    folder = Path(f"work/export/{champion[0].name}-1")
    assert {file.name for file in folder.iterdir()} == {"adapter_model.safetensors", "adapter_config.json", "README.md"}
    assert (folder / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()
    model, _ = load_model(str(base), "test")
    assert PeftModel.from_pretrained(model, str(folder)).peft_config["default"].r == 2
    assert f"--enable-lora --max-lora-rank 8 --lora-modules {champion[0].name}-1={folder}" in said
    assert "vllm serve models/vanilla" in said and "export with --merge" in said


def test_the_merged_model_says_what_base_and_adapter_say(champion, base, adapter, small_model):  # noqa: F811 - a fixture
    said = json.loads(call("--merge", "--json"))
    folder = Path(said["folder"])
    model, _ = load_model(str(base), "test")
    _, encoder = small_model
    merged = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    text = "Where was this person born?"
    assert processor.tokenizer(text)["input_ids"] == encoder.processor.tokenizer(text)["input_ids"]
    inputs = processor.tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        before = model(**inputs).logits.clone()
        wanted = load_adapter(model, adapter)(**inputs).logits
        found = merged(**inputs).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, before, atol=1e-2)
    assert said["serve"] == [
        f"vllm serve {folder} --served-model-name {champion[0].name}-1",
        f"transformers serve {folder}",
    ]
    assert "model.safetensors" in said["files"] and "tokenizer.json" in said["files"]


def test_the_same_export_again_has_the_same_bytes_and_nothing_of_this_machine(champion, tmp_path):  # noqa: F811 - a fixture
    for options in ([], ["--merge"]):
        one, two = (tmp_path / f"{len(options)}-{again}" for again in "ab")
        for out in (one, two):
            call("--out", str(out), *options)
        assert sha256_path(one) == sha256_path(two)
        assert str(tmp_path) not in texts(one) and str(champion[0].folder) not in texts(one)


def test_an_adapter_on_disk_is_exported_with_what_the_stages_measured(champion):  # noqa: F811 - a fixture
    call("models/adapter", "--out", "exported")
    card = ModelCard.load("exported/README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("peft", "image-text-to-text")
    assert "Gate: **pass**" in card.text and "trained with ViKeR + retain KL" in card.text
    shutil.copytree("models/adapter", "elsewhere")
    Path("elsewhere/adapter_config.json").write_text(Path("elsewhere/adapter_config.json").read_text() + " ")
    with pytest.raises(UserError, match="it is about another adapter"):
        call("elsewhere")


def test_the_front_matter_names_a_base_model_of_the_hub_and_only_that(champion):  # noqa: F811 - a fixture
    call("--out", "local")
    assert ModelCard.load("local/README.md").data.base_model is None
    call("--out", "known", "--base-model", "llava-hf/llava-1.5-7b-hf")
    card = ModelCard.load("known/README.md")
    assert card.data.base_model == "llava-hf/llava-1.5-7b-hf" and {"lora", "unlearning"} <= set(card.data.tags)
    config = json.loads(Path("known/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "llava-hf/llava-1.5-7b-hf"
    assert "vllm serve llava-hf/llava-1.5-7b-hf --enable-lora" in card.text
    with pytest.raises(UserError, match="expected a name on the hub"):
        call("--out", "wrong", "--base-model", "llava")


def test_a_version_whose_gate_failed_is_refused_unless_it_is_forced_and_the_card_says_so(history, monkeypatch):
    monkeypatch.chdir(history.folder)
    shutil.rmtree("work", ignore_errors=True)
    with pytest.raises(UserError, match=r"-3 was not exported: its gate failed: .*Nothing was written"):
        call("3")
    assert not Path("work/export").exists()
    assert "Forced, against: its gate failed" in call("3", "--force", "--reason", "for a comparison")
    card = Path(f"work/export/{history.name}-3/README.md").read_text()
    assert "Exported by force" in card and "Reason given: for a comparison" in card and "Gate: **fail**" in card
    with pytest.raises(UserError, match="is there already, and not empty"):
        call("3", "--force", "--reason", "for a comparison")


def test_the_card_has_counts_and_names_nobody(history, monkeypatch):
    monkeypatch.chdir(history.folder)
    call("2", "--out", "export-2")
    text = Path("export-2/README.md").read_text()
    assert "forget 1 person" in text and "2 forget requests" in text
    assert not re.search(r"\b(001|002|r1|r2)\b", text)


def test_a_merge_that_fails_leaves_nothing(champion):  # noqa: F811 - a fixture
    weights = Path("models/vanilla/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"was not trained on the base model .*VIKER_BASE_MODEL"):
        call("--merge", "--out", "broken")
    assert not list(Path().glob("*broken*"))


def pushed(endpoint: str, home: Path, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Export in a process of its own, as the hub's library reads its environment once."""
    hub_settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment = os.environ | hub_settings | {"PYTHONPATH": str(ROOT), "HF_TOKEN": token}
    command = [sys.executable, "-m", "pipelines.cli.main", "export", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done


def test_it_is_pushed_in_one_commit_to_a_private_repository_and_unchanged_makes_no_other(champion, tmp_path):  # noqa: F811 - a fixture
    with accepting() as state:
        for again in ("one", "two"):
            done = pushed(state.endpoint, tmp_path / "home", "--out", again, "--push", f"{OWNER}/forgets", "--json")
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            repo = state.repos[f"{OWNER}/forgets"]
            assert said["commit"] == f"{state.endpoint}/{OWNER}/forgets/commit/{repo.commits[-1]}"
    assert repo.private and len(repo.commits) == 1
    written = {file.name: file.read_bytes() for file in Path("one").iterdir()}
    assert {name: body for name, body in repo.files.items() if name != ".gitattributes"} == written
    assert "adapter_model.safetensors" in repo.large
    assert f"={OWNER}/forgets" in written["README.md"].decode() and f"={OWNER}/forgets" in said["serve"][0]


class TestPush:
    """Of a folder, by ``viker.storage.hub``."""

    @pytest.fixture
    def push(self, tmp_path):
        folder = tmp_path / "export"
        folder.mkdir()
        (folder / "README.md").write_text("---\nlibrary_name: peft\n---\n# A model\n")
        (folder / "model.safetensors").write_bytes(bytes(range(256)) * 64)

        def run(state, repo=f"{OWNER}/model", public=False, token=TOKEN):
            code = (
                "import json, sys; from pathlib import Path; from viker.core.errors import UserError\n"
                "from viker.storage.hub import push\n"
                "folder, repo, public = json.loads(sys.argv[1])\n"
                "try: print(push(Path(folder), repo, public, 'a model'))\n"
                "except UserError as error: sys.exit(f'error: {error}')"
            )
            hub_settings = {"HF_ENDPOINT": state.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": token}
            environment = os.environ | hub_settings | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "-c", code, json.dumps([str(folder), repo, public])]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert "Traceback" not in done.stderr and TOKEN not in done.stdout + done.stderr, done.stderr
            return done.stdout.strip(), done.stderr.partition("error: ")[2].strip()

        run.folder = folder
        return run

    def test_a_public_repository_gets_nothing_unless_that_is_said(self, push):
        with accepting() as state:
            state.create(f"{OWNER}/model", private=False)
            assert "is public on the hub" in push(state)[1]
            assert not state.repos[f"{OWNER}/model"].commits
            assert push(state, public=True)[1] == "" and state.repos[f"{OWNER}/model"].commits

    def test_weights_that_are_not_part_of_it_any_more_go_and_other_files_stay(self, push):
        with accepting() as state:
            repo = state.create(f"{OWNER}/model", private=True)
            repo.files |= {"model-00001-of-00002.safetensors": b"old", "LICENSE": b"mine"}
            assert push(state)[1] == ""
        assert set(repo.files) == {".gitattributes", "LICENSE", "README.md", "model.safetensors"}

    @pytest.mark.parametrize(
        ("repo", "token", "said"),
        [
            (f"{OWNER}/model", "hf_wrong", "HF_TOKEN is not valid (401)"),
            ("somebody/model", TOKEN, "the token may not write there (403)"),
            (f"{OWNER}/model", "", "HF_TOKEN is not set"),
            ("model", TOKEN, "Expected OWNER/NAME"),
        ],
    )
    def test_what_is_refused_is_said_and_nothing_is_there(self, push, repo, token, said):
        with accepting() as state:
            address, error = push(state, repo, token=token)
        assert said in error and address == "" and not state.repos

    def test_a_card_that_the_hub_does_not_take_is_said_before_anything_is_uploaded(self, push):
        (push.folder / "README.md").write_text("---\nbase_model: models/vanilla/here\n---\n")
        with accepting() as state:
            assert "Invalid metadata in README.md" in push(state)[1]
            assert not state.stored and not state.repos[f"{OWNER}/model"].commits

    def test_an_upload_that_breaks_off_leaves_no_commit_and_the_next_completes_it(self, push):
        with accepting() as state:
            state.broken = True
            assert "not pushed" in push(state)[1] and not state.repos[f"{OWNER}/model"].commits
            state.broken = False
            assert push(state)[1] == "" and len(state.repos[f"{OWNER}/model"].commits) == 1


def test_a_folder_that_looks_like_a_name_on_the_hub_is_told_by_its_digest():
    assert Base("models/vanilla", "a" * 64).hub_name is None
    assert Base("llava-hf/llava-1.5-7b-hf", "a" * 40).commit == "a" * 40
    assert Base("models/vanilla", "a" * 64, "owner/copy").shown == "owner/copy"


def test_the_front_matter_is_yaml(champion):  # noqa: F811 - a fixture
    call("--out", "yaml")
    text = Path("yaml/README.md").read_text()
    values = YAML(typ="safe", pure=True).load(text.split("---")[1])
    assert values == {
        "library_name": "peft",
        "pipeline_tag": "image-text-to-text",
        "tags": ["viker", "unlearning", "lora"],
    }
