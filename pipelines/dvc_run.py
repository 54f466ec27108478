"""``dvc repro`` with a line for each stage, in place of all that DVC and the stages print.

Everything goes to a log file as well; of a stage that fails it goes to the console too.
"""

import codecs
import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

import psutil

LOG = Path("work/repro/log.txt")
"""What DVC and the stages printed, of the last run."""
STARTED = re.compile(r"Running stage '([^']+)'")
SKIPPED = {
    re.compile(r"Stage '([^']+)' didn't change, skipping"): "up to date",
    re.compile(
        r"Stage '([^']+)' is cached - skipping run"
    ): "was run before with the same inputs: its outputs are back",
}
PROGRESS = re.compile(r"(?:(?P<what>[^|%\d][^|%]*): +)?(?P<percent>\d+)%\|.*\| *(?P<done>\d+)/(?P<all>\d+)")
WARNING = re.compile(r"(?:WARNING|warning|note)\b")
HINTS = re.compile(
    r"To track the changes with git|To enable auto staging|\s+git add |\s+dvc config |Use `dvc push`|"
    r"Updating lock file|Generating lock file|Verifying data sources|> |\s*$"
)
"""DVC's advice to its users, which says nothing about the run."""
PLAIN_EVERY = 30.0
"""Seconds between two lines about the same stage where the console is no terminal."""
REDRAW_EVERY = 0.5
IDLE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Torch's threads sleep while they wait: beside other work, threads that spin take several times as long."""
SHOWN = 80
"""The most lines of a failed stage that are shown; the log has all."""


@dataclass
class Lines:
    """What the console shows: a line for each stage; a terminal's is redrawn while the stage runs."""

    stages: list[str]
    """Those that may run, in order."""
    out: TextIO = field(default_factory=lambda: sys.stdout)
    times: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage took."""

    def __post_init__(self) -> None:
        """Begin without a stage."""
        self._stage, self._since, self._said, self._progress = "", 0.0, 0.0, ""
        self._redraws = self.out.isatty()

    def start(self, stage: str) -> None:
        """A stage begins, and with it the one before ends."""
        self.end()
        self._stage, self._since, self._progress = stage, time.monotonic(), ""
        self._said = self._since
        self.tick()

    def progress(self, what: str) -> None:
        """The stage is this far."""
        self._progress = what

    def tick(self) -> None:
        """Show how far the stage is, if it is time to."""
        if not self._stage:
            return
        now = time.monotonic()
        if self._redraws:
            width = os.get_terminal_size(self.out.fileno()).columns
            line = self._line(f"{self._progress or '…'}  {now - self._since:.0f} s")
            self.out.write(f"\r\x1b[K{line[: width - 1]}")
            self.out.flush()
        elif now - self._said >= PLAIN_EVERY:
            self._said = now
            self._write(self._line(f"{self._progress or 'running'}, {now - self._since:.0f} s"))

    def end(self, how: str = "done") -> None:
        """The stage that runs, if any, has ended."""
        if self._stage:
            self.times[self._stage] = seconds = time.monotonic() - self._since
            self._write(self._line(f"{how} in {seconds:.0f} s"))
            self._stage = ""

    def skipped(self, stage: str, why: str) -> None:
        """A stage need not run; nothing is said of one that has run already."""
        self.end()
        if stage in self.times:
            return
        self._write(self._line(why, stage))

    def note(self, text: str) -> None:
        """Show a line that a stage printed as a warning."""
        self._write(f"    {text}")

    def _line(self, text: str, stage: str = "") -> str:
        stage = stage or self._stage
        known = stage in self.stages
        place = f"[{self.stages.index(stage) + 1}/{len(self.stages)}] " if known else ""
        return f"{place}{stage:<{max(map(len, [*self.stages, stage]))}}  {text}"

    def _write(self, line: str) -> None:
        print(f"\r\x1b[K{line}" if self._redraws else line, file=self.out, flush=True)


def run_dvc(arguments: list[str], lines: Lines, log: IO[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run DVC, show its stages on ``lines``, write all of its output to ``log``, and return its exit code.

    Where it fails, what the stage printed that failed is shown, or what DVC printed before any stage. If this process
    is stopped, the stage that runs gets SIGTERM and ends first.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**IDLE, **environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:  # noqa: S603 - this interpreter's DVC, no shell
        try:
            printed = _follow(process, lines, log)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    lines.end("failed" if code else "done")
    if code:
        kept = [line for line in printed if not HINTS.match(line)]
        print("\n".join(kept[-SHOWN:]), file=sys.stderr)
        print(f"All that was printed: {log.name}", file=sys.stderr)
    return code


def _follow(process: subprocess.Popen[bytes], lines: Lines, log: IO[str]) -> list[str]:
    """Show a run until it ends; return what was printed since the last stage began, without progress."""
    printed: list[str] = []
    for line in _printed(process.stdout, lines) if process.stdout else ():
        if progress := PROGRESS.match(line):
            what = f"{progress['what']}: " if progress["what"] else ""
            lines.progress(f"{what}{progress['percent']} % ({progress['done']} of {progress['all']})")
            continue
        log.write(f"{line}\n")
        if started := STARTED.match(line):
            printed = []
            lines.start(started[1])
            continue
        printed.append(line)
        for pattern, why in SKIPPED.items():
            if skipped := pattern.match(line):
                lines.skipped(skipped[1], why)
        if WARNING.match(line):
            lines.note(line)
    return printed


def _printed(pipe: IO[bytes], lines: Lines) -> Iterator[str]:
    """Yield each line that comes through a pipe; carriage returns end lines too."""
    decode, rest = codecs.getincrementaldecoder("utf-8")("replace").decode, ""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if selector.select(REDRAW_EVERY):
                chunk = os.read(pipe.fileno(), 65536)
                *whole, rest = re.split(r"\r\n|\r|\n", rest + decode(chunk, final=not chunk))
                yield from whole
                if not chunk:
                    yield from filter(None, [rest])
                    return
            lines.tick()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End DVC's stage, then DVC, as SIGTERM does."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    for one in below:
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(below, timeout=30)
    process.terminate()
