"""The notebook runs as it stands, and leaves nothing behind."""

import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[3]


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelManager:
    """A kernel of this very Python, whatever is installed on the machine; its own files go to the test's folder."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter" / name))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    manager = KernelManager()
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=command, display_name="this Python", language="python")
    return manager


def test_the_quick_start_runs_and_writes_nothing(kernel: KernelManager, tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks/quickstart.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # outputs don't belong in git
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(notebook, timeout=300, km=kernel, resources={"metadata": {"path": str(work)}}).execute()
    assert list(work.iterdir()) == []
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    table, heat_map, figure = (shown[f"cell-{n}"][-1].data for n in (5, 8, 9))
    assert {"vanilla", "unlearned", "forget", "retain", "Leakage"} <= set(table["text/plain"].split())
    assert "text-decoration:underline" in heat_map["text/html"] and "nats" in heat_map["text/html"]
    assert figure["image/png"]
