"""``viker doctor``: what a long run needs, checked before it starts."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from components.contract.params import Params, load_params
from pipelines.cli.plan import GIB, estimate
from pipelines.cli.reliance import in_words, reliance_of
from pipelines.dvc_lock import repair
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError
from viker.models.fitting import RESERVE

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "mlflow", "dvc", "pyarrow")
MARKS = {"ok": ("✓", "green"), "skipped": ("–", "dim"), "failed": ("✗", "bold red")}
SPARE = GIB
"""Bytes of disk besides what is computed: metrics, reports, MLflow."""


class Skipped(Exception):
    """There is nothing to check; the message says why."""


@dataclass(frozen=True)
class Work:
    """What is checked: the parameters, and where the stages' outputs lie or will lie."""

    params: Params
    prepared: Path
    vanilla: Path
    adapter: Path
    metrics: Path


def doctor(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data, if any.")] = Path("data/prepared"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, if any.")] = Path("models/vanilla"),
    adapter: Annotated[Path, typer.Option(help="The adapter, if any.")] = Path("models/adapter"),
    metrics: Annotated[Path, typer.Option(help="What evaluate measured, if any.")] = Path("metrics/evaluate.json"),
    as_json: JsonOption = False,
) -> None:
    """Check what a long run needs before it starts.

    Environment, DVC's locks, the gate's requirements against the data, chat template with the prompt of one record,
    adapter, how far the model relies on pictures, disk space, MLflow, S3, and memory against the plan. Changes nothing
    but locks that a killed DVC left.
    Exit codes: 0 all is well, 1 something is not.
    """
    work = Work(load_params(params), prepared, vanilla, adapter, metrics)
    console = Console(highlight=False, soft_wrap=True)
    failed, checked = 0, []
    for name, check in CHECKS.items():
        state, lines = examine(check, work)
        failed += state == "failed"
        checked.append({"check": name, "state": state, "said": lines})
        if as_json:
            continue
        mark, style = MARKS[state]
        console.print(Text.assemble((mark, style), f" {name}: ", *("\n    ".join(lines))))
    if as_json:
        say_json(checked)
    if failed:
        raise UserError(f"{failed} of {len(CHECKS)} checks failed; see above what to do.")


def examine(check: Callable[[Work], Iterator[str]], work: Work) -> tuple[str, list[str]]:
    """Return how a check went, "ok", "skipped" or "failed", and what it says."""
    said: list[str] = []
    try:
        for line in check(work):
            said.append(line)
    except Skipped as reason:
        return "skipped", [*said, str(reason)]
    except UserError as error:
        return "failed", [*said, str(error)]
    return "ok", said


def environment(work: Work) -> Iterator[str]:
    """Python, and the packages that the stages need."""
    if sys.version_info[:2] != (3, 11):
        raise UserError(f"Python {sys.version.split()[0]}: expected 3.11. 'make install' makes the environment.")
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield f"Python {sys.version.split()[0]}, {', '.join(found)}"
    if missing:
        raise UserError(f"not installed: {', '.join(missing)}. Run 'make install', or pip install 'viker[all]'.")


def locks(work: Work) -> Iterator[str]:
    """DVC's file of locks, which a DVC that was killed can leave torn; repaired where no DVC is running."""
    yield repair(Path.cwd()) or "sound"


def requirements(work: Work) -> Iterator[str]:
    """What the gate requires and judges against what the prepared data ask."""
    from viker.evaluation.questions import question_counts
    from viker.gate.reachable import out_of_reach, unreachable

    if not (work.prepared / "manifest.json").is_file():
        out_of_reach(work.params.gate, {})  # the policy must be readable all the same
        raise Skipped(f"{work.prepared} isn't there yet: 'viker prepare' makes it, and then says so too")
    protocol = work.params.evaluate.in_force()
    counts = question_counts(work.prepared, protocol)
    yield ", ".join(f"{split} {count['samples']}" for split, count in counts.items()) + " questions"
    if problems := unreachable(work.params.gate, work.prepared, protocol):
        raise UserError(" ".join(problems))


def template(work: Work) -> Iterator[str]:
    """The chat template: the prompt of one record, and its tokens."""
    import torch
    from transformers import AutoProcessor

    from viker.data.records import iter_pictures, read_records
    from viker.data.samples import sample_of
    from viker.models.encoder import Encoder
    from viker.models.loading import explained

    name, where = _model(work)
    with explained(name, where):
        processor = AutoProcessor.from_pretrained(name)
    records = [r for r in read_records(work.prepared, "forget") if r.images] if work.prepared.is_dir() else []
    if not records:
        raise Skipped(f"{work.prepared} has no question about a picture yet: run 'viker prepare' first")
    record = records[0]
    pictures = islice((pair for pair in iter_pictures(work.prepared) if pair[0] == record.images[0]), 1)
    encoder = Encoder(processor, dict(pictures), torch.device("cpu"))
    sample = sample_of(record)
    ids, count = encoder.encode(sample)
    tokens = processor.tokenizer.convert_ids_to_tokens(ids)
    yield f"from the {encoder.template.source}; record {record.id}, {len(ids)} tokens, {count} of them the answer's"
    yield f"prompt: {encoder.template.prompt(sample.prompt, with_picture=True)!r}"
    yield f"tokens: {' '.join(_without_repeats(tokens[:-count]))} | {' '.join(tokens[-count:])}"


def adapters(work: Work) -> Iterator[str]:
    """The adapters that are there, against the model that they are for."""
    from viker.models.adapter import load_adapter
    from viker.models.loading import empty_model
    from viker.training.adapter import check_start

    if work.params.unlearn.start_from is None and not work.adapter.is_dir():
        raise Skipped("none yet: 'viker unlearn' makes it")
    name, where = _model(work)
    if work.params.unlearn.start_from is not None:
        check_start(work.params.unlearn, name)
        yield f"unlearn.start_from, {work.params.unlearn.start_from}: fits {name}"
    if work.adapter.is_dir():
        load_adapter(empty_model(name, where), work.adapter)
        yield f"{work.adapter}: fits {name}"


def reliance(work: Work) -> Iterator[str]:
    """Whether the model looks at the pictures."""
    told, how = reliance_of(*_model(work), work.vanilla, work.prepared, work.metrics)
    if not told:
        raise Skipped(how)
    yield from in_words(told, how)


def disk(work: Work) -> Iterator[str]:
    """Free space against what a run writes: teacher, checkpoints, adapter, and the trained model."""
    need_disk(work.params, Path.cwd())
    yield f"{shutil.disk_usage(Path.cwd()).free / GIB:.1f} GiB free, {disk_bytes(work.params) / GIB:.1f} GiB needed"


def disk_bytes(params: Params) -> int:
    """Return an estimate of the bytes that a run writes besides its data."""
    planned = _planned(params)
    parts = {row["part"]: row["bytes"] for row in (*planned["device"], *planned["host"])}
    model = 0 if params.finetune.deployed_model else parts["weights"]
    return int(
        parts["teacher"] + 2 * 3 * parts["adapter"] + parts["adapter"] + model + SPARE
    )  # 2 checkpoints with AdamW


def need_disk(params: Params, folder: Path) -> None:
    """Raise a UserError where the disk of ``folder`` has less space than a run writes."""
    free, needed = shutil.disk_usage(folder).free, disk_bytes(params)
    if free < needed:
        raise UserError(
            f"{folder}: {free / GIB:.1f} GiB free, a run writes about {needed / GIB:.1f} GiB. Make room, or move the "
            "work tree to a larger disk."
        )


def mlflow(work: Work) -> Iterator[str]:
    """MLflow answers; a database that isn't there yet is not made."""
    from viker.core.mlflow_store import connect, database, tracking_uri
    from viker.core.redact import without_secrets

    uri = tracking_uri()
    path = database(uri)
    if path is not None and not path.exists():
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not os.access(parent, os.W_OK):
            raise UserError(
                f"{uri}: you may not write to {parent}. Set MLFLOW_TRACKING_URI, or change its permissions."
            )
        yield f"{uri}: will be created"
        return
    connect(uri)
    yield f"{without_secrets(uri)} answers"


def s3(work: Work) -> Iterator[str]:
    """S3 lists what prepare and sample will fetch."""
    section = work.params.prepare
    named = {
        "prepare.source": section.source,
        "prepare.requests": section.requests,
        "sample.folder": work.params.sample.folder,
    }
    addresses = [uri for uri in named.values() if uri is not None and uri.startswith("s3://")]
    if not addresses:
        raise Skipped(f"none of {', '.join(named)} is in S3")
    from viker.storage.s3 import listing

    for uri in addresses:
        listing(uri)
        yield f"{uri}: can be listed"


def memory(work: Work) -> Iterator[str]:
    """Memory of the GPU, or of the CPU without one, against the plan."""
    import torch

    planned = _planned(work.params)
    if torch.cuda.is_available():
        where, there = torch.cuda.get_device_name(), int(torch.cuda.mem_get_info()[1] * (1 - RESERVE))
        needed = planned["peak"]
    else:
        where, there = "CPU", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        needed = max(planned["peaks"].values()) + sum(row["bytes"] for row in planned["host"])
    yield f"{where}: {there / GIB:.1f} GiB, the plan needs {needed / GIB:.1f} GiB"
    if needed > there:
        raise UserError(
            "too little memory; 'viker plan' shows the parts and what to change: batch size, 4 bits, sharding."
        )


CHECKS: dict[str, Callable[[Work], Iterator[str]]] = {
    "environment": environment,
    "DVC's locks": locks,
    "gate's requirements": requirements,
    "chat template": template,
    "adapter": adapters,
    "visual reliance": reliance,
    "disk": disk,
    "MLflow": mlflow,
    "S3": s3,
    "memory": memory,
}


def _planned(params: Params) -> dict[str, Any]:
    """Return the estimate of 'viker plan'; a family without a fixed number of tokens a picture gets 1024."""
    sizes = {"samples": 500, "prompt_tokens": 40, "answer_tokens": 60}
    try:
        return estimate(params, **sizes)
    except UserError:
        return estimate(params, **sizes, image_tokens=1024)


def _model(work: Work) -> tuple[str, str]:
    """Return the model that is asked, and what names it. Raises Skipped: it isn't made yet."""
    from viker.models.base_model import resolve_model

    if work.vanilla.is_dir():
        return resolve_model(work.vanilla), str(work.vanilla)
    if work.params.finetune.deployed_model is None:
        raise Skipped(f"{work.vanilla} isn't there yet: 'viker finetune' makes it")
    return work.params.finetune.deployed_model, "finetune.deployed_model"


def _without_repeats(tokens: list[str]) -> Iterator[str]:
    """Yield tokens, a row of the same one as one with its number."""
    start = 0
    for place in range(1, len(tokens) + 1):
        if place == len(tokens) or tokens[place] != tokens[start]:
            yield tokens[start] if place == start + 1 else f"{tokens[start]} x {place - start}"
            start = place
