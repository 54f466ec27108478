"""Formats are found by being there: as a module of viker/data/formats, or by an entry point of an installed package."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.contract.params import load_params
from components.prepare.run import run
from tests.conftest import ROOT, prepare_params
from tests.hub import serving
from tests.viker.data.mllmu_data import write_mllmu
from viker.core.errors import UserError
from viker.core.plugins import plugin_names
from viker.data.formats.base.format import GROUP, formats, recognise

LEDGER = """
from dataclasses import replace
from viker.data.formats import mllmu

def recognises(source):
    return (source / "ledger").is_dir()

def load(source, *arguments):
    return mllmu.load(source / "ledger", *arguments)

FORMAT = replace(mllmu.FORMAT, name="ledger", heading="Ledgers", recognises=recognises, load=load)
"""


@pytest.fixture
def package(tmp_path, monkeypatch) -> Iterator[Path]:
    """An installed package with one entry point, 'ledger'."""
    folder = tmp_path / "site-packages"
    metadata = folder / "ledger_format-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger-format\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nledger = ledger_format\n")
    (folder / "ledger_format.py").write_text(LEDGER)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    formats.cache_clear()
    yield folder
    formats.cache_clear()
    sys.modules.pop("ledger_format", None)


def test_an_installed_package_brings_a_format(package, tmp_path):
    write_mllmu(tmp_path / "data" / "ledger")
    assert formats()["ledger"].heading == "Ledgers"
    assert recognise(tmp_path / "data") == "ledger"
    params = prepare_params(source=str(tmp_path / "data"), format="ledger")
    manifest = run(params, 1, tmp_path / "prepared", tmp_path / "validation")
    assert (manifest["format"], manifest["counts"]["forget"]["people"]) == ("ledger", 1)


def test_an_entry_point_of_another_name_than_its_format_is_refused(package):
    path = package / "ledger_format-1.0.dist-info" / "entry_points.txt"
    path.write_text(f"[{GROUP}]\nbook = ledger_format\n")
    with pytest.raises(UserError, match="the format 'ledger' is in a module or entry point of another name"):
        formats()


def test_an_entry_point_that_cannot_be_imported_is_named(package):
    (package / "ledger_format.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(UserError, match=rf"'ledger' of the group {GROUP} \(ledger_format\) can't be imported"):
        formats()


def test_the_modules_of_the_package_are_called_as_their_formats_are():
    assert list(formats()) == plugin_names("viker.data.formats", GROUP)


def test_a_benchmark_that_is_not_where_the_hub_had_it_is_named_by_its_other_name(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    for old, new in (("source: components/prepare/embedded.yaml", "source: hf://linbojunzi/UMU-bench"), ("null", "v1")):
        text = text.replace(old, new, 1)
    (tmp_path / "params.yaml").write_text(text)
    command = [sys.executable, "-m", "components.prepare"]
    with serving({"owner/other": {}}) as hub:  # its library reads the environment once, so in a process of its own
        environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "linbojunzi/UMU-bench: no such data set" in done.stderr
    assert done.stderr.rstrip().endswith("also on the hub as hf://chengyewang/UMU-bench.")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    assert "format: auto" in text
    (tmp_path / "params.yaml").write_text(text.replace("format: auto", "format: mlmu"))
    with pytest.raises(UserError, match=r"'prepare\.format' is 'mlmu': expected one of auto, .*did you mean 'mllmu'"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("without", "code"),
    [
        (("torch", "transformers", "peft"), "from viker.data.formats.base.format import formats; formats()"),
        (("torch", "pyarrow", "PIL"), "import viker.data.settings as s; s.PrepareParams._known_format('mllmu')"),
    ],
)
def test_formats_need_no_torch_and_their_names_no_pyarrow(without, code):
    block = "".join(f"sys.modules[{name!r}] = None; " for name in without)
    subprocess.run([sys.executable, "-c", f"import sys; {block}{code}"], cwd=ROOT, check=True)
