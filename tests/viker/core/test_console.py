"""How a program ends, as one sees it from outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from viker.core import console
from viker.core.errors import UserError

ROOT = Path(__file__).parents[3]


def test_a_users_error_is_one_paragraph_word_for_word(capsys):
    said = r"C:\data\[bold]x.parquet: row 3, column 'a[0]': not a \[number]."

    def app():
        raise UserError(said)

    with pytest.raises(SystemExit) as ended:
        console.run(app)
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {said}\n"


def test_an_unexpected_error_keeps_its_traceback():
    def app():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(app)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--nonsense"], 2), (["--params", "no/such.yaml"], 1), (["--help"], 0)]
)
def test_exit_codes(arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "components.prepare", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_program_and_what_it_starts_report_no_usage(monkeypatch, tmp_path, capsys):
    for name in ("DVC_NO_ANALYTICS", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # away from the project's own configuration of DVC
    asked = "from dvc import analytics; from huggingface_hub import constants; print(analytics.is_enabled(), "
    asked = [sys.executable, "-c", asked + "not constants.HF_HUB_DISABLE_TELEMETRY)"]
    assert subprocess.check_output(asked, text=True) == "True True\n"
    console.run(lambda: print(subprocess.check_output(asked, text=True), end=""))
    assert capsys.readouterr().out == "False False\n"
