"""What the system refuses is said with path and remedy, whichever library asked; another error keeps its traceback."""

import errno
import py_compile
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from viker.core import console
from viker.core.files import create_file, new_file, new_folder, writing
from viker.core.system_errors import system_error

ROOT = Path(__file__).parents[3]
LIMIT = 100_000
"""The most bytes of a file, in the process that writes."""
WRITERS = {
    "text": "path.write_text('x' * 10**6)",
    "safetensors": "from safetensors.numpy import save_file; save_file({'w': np.zeros(10**6)}, path)",
    "torch": "import torch; torch.save({'w': torch.zeros(10**6)}, path)",
    "parquet": "import pyarrow as a, pyarrow.parquet as p; p.write_table(a.table({'a': np.random.rand(10**6)}), path)",
    "pandas": "import pandas as pd; pd.DataFrame({'a': np.random.rand(10**6)}).to_csv(path)",
    "picture": "from PIL import Image; Image.fromarray(np.random.rand(999, 999)).save(path, 'TIFF')",
}


@pytest.mark.parametrize("library", WRITERS)
def test_a_file_that_may_not_grow_is_one_sentence_with_its_path_from_every_library(tmp_path, library):
    code = (
        "import resource, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from viker.core import console\nfrom viker.core.files import new_folder\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))\n"
        "def app():\n    target = Path('out')\n"
        f"    with new_folder(target) as folder:\n        path = folder / 'x'\n        {WRITERS[library]}\n"
        "console.run(app)\n"
    )
    # Python itself would cut bytecode off at the limit, and each later import of that module would fail.
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: out: ") and done.stderr.count("\n") == 1, done.stderr
    assert "larger than a file may be" in done.stderr or "a limit on the size of files" in done.stderr
    assert "run again" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full(tmp_path):
    """A file system of 200 kB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    yield folder
    subprocess.run(["umount", folder], check=True)


def said(capsys, app) -> str:
    with pytest.raises(SystemExit) as ended:
        console.run(app)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_a_full_disk_is_said_with_what_is_free_and_what_is_needed_at_least(full, capsys):
    def app():
        with new_folder(full / "out") as folder:
            (folder / "small").write_bytes(bytes(50_000))
            (folder / "large").write_bytes(bytes(10**6))

    message = said(capsys, app)
    assert re.search(f"{full}/out: no space left on the device, 20. kB are free; more than 20. kB are needed", message)
    assert list(full.iterdir()) == []


def test_a_read_only_file_system_is_said(full, capsys):
    subprocess.run(["mount", "-o", "remount,ro", full], check=True)
    assert "read-only. Choose another place" in said(capsys, lambda: create_file(full / "a/b", "x"))

    def app():
        with new_file(full / "c") as path:
            path.write_text("x")

    assert f"error: {full}/c: the file system is read-only" in said(capsys, app)


def test_what_is_read_is_blamed_and_not_what_is_written(tmp_path):
    with pytest.raises(OSError) as caught, new_file(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/input")
    assert str(system_error(caught.value)).startswith("/elsewhere/input: no permission")


def test_an_error_of_a_library_is_known_by_what_it_was_raised_from():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/x")
        except OSError as error:
            raise RuntimeError("the store failed") from error
    except RuntimeError as error:
        assert str(system_error(error)).startswith("/data/x: no space left on the device")


@pytest.mark.parametrize(
    "error", [KeyError("a"), FileNotFoundError(errno.ENOENT, "No such file", "x"), ConnectionError("refused")]
)
def test_anything_else_keeps_its_traceback(error):
    def app():
        raise error

    assert system_error(error) is None
    with pytest.raises(type(error)):
        console.run(app)


def test_an_append_names_its_file(tmp_path):
    path, before = tmp_path / "log", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError) as caught, writing(path), path.open("ab", buffering=0) as stream:
            stream.write(bytes(10))
            stream.write(bytes(10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(system_error(caught.value)).startswith(f"{path}: larger than a file may be here")


def test_bytecode_that_is_cut_off_is_named(tmp_path):
    (tmp_path / "cut.py").write_text("x = [1, 2, 3]\n")
    cached = Path(py_compile.compile(str(tmp_path / "cut.py")))
    cached.write_bytes(cached.read_bytes()[:-20])
    code = "from viker.core.console import run, stage_app\ndef app():\n    import cut\nrun(stage_app(app))\n"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {cached}: ") and f"Delete the folder {cached.parent} and" in done.stderr
