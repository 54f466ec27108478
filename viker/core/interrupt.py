"""Ctrl-C while a program is still importing: it ends, without the traceback of whatever was being imported."""

import signal
import sys
import threading
from pathlib import Path


def end_quietly_while_importing() -> None:
    """Let SIGINT end the process as the system does, if a program of this project is starting.

    For the packages that programs start in: at that moment ``sys.argv[0]`` is ``-m`` or the path of ``viker``. Does
    nothing where Python's own handler isn't in place, as when the shell has told the program to ignore SIGINT.
    """
    starting = sys.argv and (sys.argv[0] == "-m" or Path(sys.argv[0]).name == "viker")
    main = threading.current_thread() is threading.main_thread()  # handlers can be set from nowhere else
    if starting and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt_as_usual() -> None:
    """Undo `end_quietly_while_importing`: from here on SIGINT raises KeyboardInterrupt, so that files are tidied up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
