"""SIGKILL at random moments, SIGTERM and SIGINT: nothing torn is left, and the next run ends with the same bytes."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.torture.result import Case
from benchmarks.torture.tree import Reference, Tree
from components.contract.stages import stages

TARGETS = (*stages(), "dvc repro")


def kills(reference: Reference, count: int, seed: int) -> Iterator[Case]:
    """Kill each of the stages and ``dvc repro`` in turn, ``count`` times in all, at a moment drawn from ``seed``."""
    rng = random.Random(seed)
    for number in range(count):
        target = TARGETS[number % len(TARGETS)]
        yield interrupted(reference, target, signal.SIGKILL, rng.random())


def terminations(reference: Reference, seed: int) -> Iterator[Case]:
    """Send SIGTERM and SIGINT to each stage, each at one moment drawn from ``seed``."""
    rng = random.Random(seed)
    for sent in (signal.SIGTERM, signal.SIGINT):
        for stage in stages():
            yield interrupted(reference, stage, sent, rng.random())


def interrupted(reference: Reference, target: str, sent: signal.Signals, moment: float) -> Case:
    """Interrupt a program at a share ``moment`` of its usual time, run it again, and say what is wrong, if anything."""
    dvc = target == "dvc repro"
    first = next(iter(stages())) if dvc else target
    length = sum(reference.seconds.values()) if dvc else reference.seconds[target]
    with reference.copy("interrupted", first) as tree:
        command = dvc_repro(tree) if dvc else tree.command(target)
        process = tree.start(command)
        time.sleep(moment * length)
        ended_before = process.poll() is not None
        if not ended_before:
            os.killpg(process.pid, sent)
        out, _ = process.communicate()
        faults = []
        if sent != signal.SIGKILL and not ended_before:
            faults += [] if process.returncode else [f"exit code 0 after {sent.name}"]
            faults += ["traceback after the signal"] if "Traceback" in out else []
        reached = list(stages()) if dvc else [target]
        faults += [f"torn: {path}" for stage in reached for path in reference.torn(tree, stage)]
        code, again = tree.run(command)
        faults += [f"the next run exited with {code}: {last_line(again)}"] if code else []
        faults += ["traceback in the next run"] if "Traceback" in again else []
        faults += [f"other bytes: {path}" for stage in reached for path in reference.torn(tree, stage)]
        faults += [f"missing: {path}" for stage in reached for path in reference.missing(tree, stage)]
        faults += registry_faults(tree) if target in ("register", "dvc repro") else []
    return Case(f"{sent.name} to {target} at {moment:.0%}{' (had ended)' if ended_before else ''}", faults)


def dvc_repro(tree: Tree) -> list[str]:
    """Return the command that runs the whole pipeline, as ``make demo`` does."""
    return [tree.command("x")[0], "-m", "pipelines.cli.main", "repro"]


def registry_faults(tree: Tree) -> list[str]:
    """Return what is wrong in the registry: there must be one version, the candidate, and at most one champion."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tree.folder}/mlflow.db")
    versions = client.search_model_versions("name='viker-adapter'")
    aliases = Counter(dict(client.get_registered_model("viker-adapter").aliases))
    faults = [] if len(versions) == 1 else [f"{len(versions)} versions in the registry"]
    return faults + ([] if set(aliases) <= {"candidate", "champion"} and aliases else [f"aliases: {dict(aliases)}"])


def last_line(text: str) -> str:
    """Return the last line with something on it, shortened."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "no output")
