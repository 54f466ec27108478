"""``viker export``: a registered version, or an adapter on disk, in Hugging Face's format: a folder, or on the hub."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.contract.params import Params, load_params
from pipelines.cli.promote import ForceOption, reason_given
from pipelines.cli.registry import open_registry
from viker.core.console import JsonOption, ParamsOption, show
from viker.core.errors import UserError
from viker.core.mlflow_store import beside_store
from viker.evidence import audit
from viker.evidence.training_summary import read_summary
from viker.models.base_model import check_adapter_base, resolve_model

if TYPE_CHECKING:
    from viker.registry.export import Base, Export


def export(
    model: Annotated[
        str, typer.Argument(help="champion, candidate, previous, a version, or the folder of an adapter.")
    ] = "champion",
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the adapter into the base model: a whole model, processor included.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder, which must not hold anything. Default: in work/export.")
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="REPO", help="Upload it to OWNER/NAME on the hub too, private; needs HF_TOKEN."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="With --push: for everybody to see.")] = False,
    base_model: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="What the hub calls the base model, if it is a local copy.")
    ] = None,
    force: ForceOption = False,
    reason: Annotated[
        str | None, typer.Option(help="Why the rules are overridden; it goes into the card: name nobody.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    vanilla: Annotated[Path, typer.Option(help="The vanilla model, for the folder of an adapter.")] = Path(
        "models/vanilla"
    ),
    evidence: Annotated[
        Path, typer.Option(help="The work tree whose stages measured and judged it, for the folder of an adapter.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a version, or an adapter, as a folder for other programs, with a card that has the evidence; push it.

    The adapter alone in PEFT's format, or with `--merge` a whole model in safetensors, sharded as transformers does it.
    Refused unless a verdict by the policy of *params.yaml* passed on exactly this adapter. At the end it prints how to
    serve it with vLLM and transformers. The card names no person. `viker export 3 --merge --push OWNER/NAME` exports
    version 3, merged, to a private repository.
    """
    override = reason_given(force, reason)
    settings = load_params(params)
    if public and not push:
        raise typer.BadParameter("--public says who sees what --push REPO uploads: give both.")
    if push:
        from viker.storage.hub import check_upload

        check_upload(push)
    from viker.registry import export as exporting

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(model)
        one = (
            _of_folder(settings, folder, vanilla, evidence)
            if folder.is_dir()
            else _of_version(settings, model, Path(scratch))
        )
        made = exporting.with_decision(one, _policy(settings), merge, base_model, override)
        target = out or Path("work/export") / (made.name + ("-merged" if merge else ""))
        files = exporting.write(made, target, push or ".", lambda: _load(made))
        where = _push(target, push, public, made) if push else None
        serve = exporting.serving(made, push or str(target))
    about = {"model": made.name, "merged": merge, "pushed": push, "public": bool(push and public)}
    audit.append("export", about | ({"forced_against": len(made.objections)} if made.forced else {}))
    lines = [f"{target}: {', '.join(files)}", *([f"pushed: {where}"] if where else []), "serve it:"]
    lines += [f"  {line}" for line in serve]
    if made.forced:
        lines.insert(0, f"Forced, against: {'; '.join(made.objections)}. The card says so.")
    show(about | {"folder": str(target), "files": files, "commit": where, "serve": serve}, lines, as_json)


def _policy(settings: Params) -> Any:
    from viker.gate.doubts import Policy
    from viker.gate.policies import load_policy

    return Policy(settings.gate, load_policy(settings.gate)[1])


def _of_folder(settings: Params, adapter: Path, vanilla: Path, tree: Path) -> "Export":
    from viker.registry.export import Base, Export
    from viker.registry.stored import record_on_disk

    check_adapter_base(adapter, vanilla)
    metrics, gate = (tree / "metrics" / name for name in ("evaluate.json", "gate.json"))
    record = record_on_disk(adapter, tree / "unlearning", metrics, gate, tree / "data/prepared/manifest.json")
    try:
        method = str(read_summary(tree / "unlearning", str(record.hashes["adapter"]))["method"])
    except UserError:  # an adapter from elsewhere
        method = _NO_METHOD
    return Export(adapter.resolve().name, adapter, record, Base(resolve_model(vanilla)), method, merged=False)


def _of_version(settings: Params, wanted: str, scratch: Path) -> "Export":
    from viker.registry.export import Base, Export
    from viker.registry.stored import fetch_adapter, read_base

    if os.sep in wanted:
        raise UserError(f"'{wanted}': no such folder. Expected an adapter's folder, a version or an alias.")
    registry = open_registry(settings)
    number = registry.number(wanted)
    with registry.explained("the version can't be exported"):
        record, method = registry.record(number), registry.tags(number).get("method", _NO_METHOD)
        adapter, (name, digest) = fetch_adapter(registry, number, scratch), read_base(registry, number)
    base = Base(os.environ.get("VIKER_BASE_MODEL") or beside_store(name, registry.uri), digest)
    return Export(f"{registry.name}-{number}", adapter, record, base, method, merged=False)


_NO_METHOD = "a method that was not recorded"


def _load(made: "Export") -> tuple[Any, Any]:
    """Return the base model with the adapter on it, and the processor as the base model has it."""
    from transformers import AutoProcessor
    from transformers.utils import logging

    from viker.models.answering import Answerer

    logging.disable_progress_bar()
    base: Base = made.base
    hint = "Name another with --vanilla, or for a version in VIKER_BASE_MODEL."
    answerer = Answerer(base.name, base.digest, made.adapter, 1, hint)
    in_folder = Path(base.name).is_dir()
    return answerer.model, AutoProcessor.from_pretrained(base.name, revision=None if in_folder else base.digest)


def _push(folder: Path, repo: str, public: bool, made: "Export") -> str:
    from viker.storage.hub import push

    return push(folder, repo, public, f"{made.name}{', merged' if made.merged else ''}")
