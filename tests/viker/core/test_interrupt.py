import signal
import subprocess
import sys

import pytest

AFTER_IMPORT = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.{handler})
sys.argv[0] = {program!r}
import {package}
{then}
os.kill(os.getpid(), signal.SIGINT)
time.sleep(30)
"""


def interrupted(program: str, package: str, then: str = "") -> subprocess.CompletedProcess[str]:
    code = AFTER_IMPORT.format(program=program, package=package, then=then, handler="default_int_handler")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("program", "package"), [("-m", "components"), ("/usr/local/bin/viker", "pipelines")])
def test_ctrl_c_during_the_imports_of_a_program_shows_no_traceback(program, package):
    result = interrupted(program, package)
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")


def test_once_a_program_runs_ctrl_c_raises_as_usual():
    result = interrupted("-m", "components", "from viker.core.console import run; run(lambda: None)")
    assert "KeyboardInterrupt" in result.stderr


def test_a_program_of_somebody_else_keeps_its_own_way():
    assert "KeyboardInterrupt" in interrupted("notebook.py", "components").stderr


def test_a_shell_that_ignores_sigint_is_obeyed():
    ignoring = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable,
         AFTER_IMPORT.format(program="-m", package="components", then="", handler="SIG_IGN").replace("(30)", "(0)")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ignoring.returncode, ignoring.stderr) == (0, "")
