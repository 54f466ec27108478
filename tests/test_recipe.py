"""``make demo PROFILE=scratch`` makes the shipped model, to the byte: the one full training of the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_demo import clone, run
from viker.core.files import sha256_path
from viker.finetuning.arithmetic import processor_flags

SHIPPED = Path("components/finetune/vanilla")
CARD = "README.md"


@pytest.mark.recipe
@pytest.mark.skipif(not {"avx2", "fma"} <= processor_flags(), reason="the recipe takes AVX2 and FMA")
def test_the_recipe_makes_the_shipped_model_to_the_byte(tmp_path):
    project = clone(tmp_path)
    run(project, "viker", "profile", "scratch")
    run(project, "viker", "prepare")
    run(project, "viker", "finetune")
    shipped = {path.name for path in (project / SHIPPED).iterdir()} - {CARD}
    made = {path.name for path in (project / "models/vanilla").iterdir()}
    assert made == shipped
    assert [
        name
        for name in sorted(made)
        if sha256_path(project / SHIPPED / name) != sha256_path(project / "models/vanilla" / name)
    ] == []


@pytest.mark.parametrize("capability", ["default", "avx512"])
def test_whatever_the_environment_says_training_uses_avx2(capability):
    code = (
        "from viker.finetuning.arithmetic import same_arithmetic; same_arithmetic();"
        "import torch; print(torch.backends.cpu.get_cpu_capability())"
    )
    environment = {"PATH": "/usr/bin", "ATEN_CPU_CAPABILITY": capability, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == ("AVX2\n" if {"avx2", "fma"} <= processor_flags() else "DEFAULT\n"), done.stderr
