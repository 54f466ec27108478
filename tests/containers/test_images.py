"""What an image is: whose user, what is in it and what is not, and how large it may be."""

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.contract.stages import stages
from tests.containers.conftest import HARDENED, ROOT, STAGES, VERSION, build, docker, image

pytestmark = pytest.mark.containers

WITH_TORCH = tuple(stage.name for stage in stages().values() if "torch" in stage.requirements)
WITHOUT_TORCH = tuple(stage for stage in STAGES if stage not in WITH_TORCH)


def inspect(stage: str) -> dict:
    return json.loads(docker("image", "inspect", image(stage)).stdout)[0]


def inside(stage: str, script: str) -> str:
    return docker("run", "--rm", *HARDENED, image(stage), "sh", "-c", script).stdout


@pytest.mark.parametrize("stage", STAGES)
def test_an_image_says_what_it_is_and_leaves_the_command_to_the_caller(images: str, stage: str) -> None:
    config = inspect(stage)["Config"]
    assert config["Entrypoint"] is None
    assert config["User"] == "10001:10001"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"viker-{stage}"
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == commit.strip()


@pytest.mark.parametrize("stage", STAGES)
def test_the_health_line_answers_without_network_and_with_nothing_to_write_to(images: str, stage: str) -> None:
    said = docker("run", "--rm", "--read-only", "--network=none", image(stage)).stdout
    assert "Usage" in said and "--params" in said


@pytest.mark.parametrize("stage", STAGES)
def test_it_runs_as_the_images_user_who_can_change_nothing_in_it(images: str, stage: str) -> None:
    command = (
        "sh",
        "-c",
        "id -u; id -g; touch /opt/viker/x /opt/venv/x /usr/x 2>&1 | grep -c denied; echo ok > /tmp/x && cat /tmp/x",
    )
    found = docker("run", "--rm", "--network=none", image(stage), *command).stdout.split()
    assert found == ["10001", "10001", "3", "ok"]


@pytest.mark.parametrize("stage", STAGES)
def test_an_image_has_the_code_and_the_parameters_alone(images: str, stage: str) -> None:
    assert inside(stage, "ls /opt/viker").split() == ["components", "params.yaml", "viker"]


def test_the_job_of_the_manifests_gives_a_volume_of_roots_to_the_images_user(images: str, volume: str) -> None:
    job = YAML(typ="safe", pure=True).load(ROOT / "deploy/base/cache-owner.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    there = (*HARDENED, f"--volume={volume}:/cache:nocopy", image("gate"))  # 'nocopy' leaves it root's
    write = ("run", "--rm", *there, "touch", "/cache/x")
    assert docker(*write, check=False).returncode == 1
    for _ in range(2):
        docker("run", "--rm", "--user=0", "--cap-add=CHOWN", *there, *container["command"])
    docker(*write)


@pytest.mark.parametrize("stage", WITHOUT_TORCH)
def test_torch_is_only_where_something_is_computed_with_it(images: str, stage: str) -> None:
    script = "import importlib.util as u; print([n for n in ('torch', 'transformers', 'kfp') if u.find_spec(n)])"
    assert inside(stage, f'python -c "{script}"').strip() == "[]"


@pytest.mark.parametrize("stage", WITH_TORCH)
def test_torch_is_the_cpu_build(images: str, stage: str) -> None:
    assert inside(stage, 'python -c "import torch; print(torch.__version__, torch.version.cuda)"').split()[1] == "None"


def test_the_images_with_torch_share_its_layer(images: str) -> None:
    layers = [inspect(stage)["RootFS"]["Layers"] for stage in WITH_TORCH]
    common = sum(1 for found in zip(*layers, strict=False) if len(set(found)) == 1)
    added = [line for line in reversed(history("unlearn")) if not line.startswith("0B\t")]
    assert any("torch===" in line for line in added[:common])


def history(stage: str) -> list[str]:
    return docker("history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", image(stage)).stdout.splitlines()


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_left_of_the_builders_pip_settings(images: str, stage: str) -> None:
    spec = importlib.util.spec_from_file_location("pip_settings", ROOT / "docker" / "pip_settings.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = {v for name in module.PLACES for v in module.pip_config().get(name, "").split()} | {"127.0.0.1"}
    config = json.dumps(inspect(stage)["Config"]) + "\n".join(history(stage))
    assert [value for value in values if value in config] == []
    command = ("run", "--rm", "--user=0", "--network=none", image(stage), "sh", "-c")
    left = docker(*command, "ls -A /run/secrets /opt/.cache/pip 2>/dev/null; ls /tmp").stdout.split()
    assert set(left) <= {"/run/secrets:", "/opt/.cache/pip:"}


@pytest.fixture
def tree(images: str, tmp_path: Path) -> Iterator[Path]:
    """A copy of what the images are built from; what is built from it has the tag 'tried' and goes away again."""
    for name in ("components", "docker", "requirements", "viker"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "params.yaml", ".dockerignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    yield tmp_path
    docker("image", "rm", "--force", "viker-gate:tried", check=False)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_no_data_and_no_secret_gets_to_the_builder(tree: Path) -> None:
    planted = (".env", "data/a.csv", "models/weights", "id_rsa", "components/gate/.env", "viker/core/tls.key")
    for name in planted:
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("planted-7f3a")
    # everything that the builder is given, and not only what an image takes of it
    replace(tree / "docker" / "Dockerfile", "COPY params.yaml ./\n", "COPY params.yaml ./\nCOPY . /everything\n")
    built = build("gate", "--tag", "tried", root=tree)
    assert built.returncode == 0, built.stderr
    command = ("run", "--rm", "--user=0", "--network=none", "viker-gate:tried", "sh", "-c")
    given = docker(*command, "ls -A /everything").stdout.split()
    assert given == ["components", "constraints.txt", "params.yaml", "requirements", "viker"]
    assert docker(*command, "grep -rl planted-7f3a /everything /opt/viker; true").stdout == ""


def test_an_image_over_its_bound_is_an_error(tree: Path) -> None:
    bound = stages()["gate"].image_megabytes
    replace(tree / "components/gate/stage.py", f"image_megabytes={bound}", "image_megabytes=10")
    built = build("gate", "--tag", "tried", root=tree)
    assert built.returncode == 1
    assert "more than its bound of 10 MB" in built.stderr


def test_an_image_whose_stage_does_not_start_is_an_error(tree: Path) -> None:
    replace(tree / "components" / "gate" / "__main__.py", "import typer\n", "import sklearn\nimport typer\n")
    built = build("gate", "--tag", "tried", root=tree)
    assert built.returncode == 1
    assert "'python -m components.gate --help' fails in it" in built.stderr
    assert "No module named 'sklearn'" in built.stderr


def test_the_table_of_sizes_has_the_bounds_that_are_checked() -> None:
    rows = re.findall(r"^\| (\w+) \|.*\| (\d+) \|$", (ROOT / "docs" / "images.md").read_text(), re.MULTILINE)
    assert {stage: int(bound) for stage, bound in rows} == {s.name: s.image_megabytes for s in stages().values()}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry of images on this machine; Debian's package docker-registry."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no program docker-registry: install Debian's package of that name")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}"
    settings.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: '{address}'}}\n")
    with (tmp_path / "registry.log").open("w") as log:
        server = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log)
        time.sleep(2)
        yield address
        server.terminate()
        server.wait()


def test_push_puts_the_image_where_the_printed_digest_finds_it(images: str, registry: str) -> None:
    name = f"{registry}/team/viker-gate"
    pushed = build("gate", "--registry", f"{registry}/team/", "--tag", "t1", "--push")
    assert pushed.returncode == 0, pushed.stderr
    by_digest = next(line for line in pushed.stdout.splitlines() if "@sha256:" in line)
    assert by_digest.startswith(f"{name}@")
    docker("image", "rm", f"{name}:t1")
    try:
        docker("pull", "--quiet", by_digest)
        said = docker("run", "--rm", "--read-only", "--network=none", by_digest).stdout
        assert "components.gate" in said
    finally:
        docker("image", "rm", "--force", by_digest, check=False)
