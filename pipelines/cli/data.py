"""``viker data``: imports a data set, tracked by DVC and set as the source of prepare."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from components.contract.params import load_params
from pipelines.cli.profile import change_params
from viker.core.console import JsonOption, ParamsOption, command_group, show
from viker.core.errors import UserError
from viker.core.files import is_hidden, new_file, new_folder, sha256_path
from viker.storage import fetch, is_remote, refuse_credentials

app = command_group("Import a data set from S3, the hub or a folder, and have DVC track it.")


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A file or folder, s3://BUCKET/PREFIX, or hf://OWNER/NAME.")],
    name: Annotated[str | None, typer.Option(help="The data set's name; default: the last part of the source.")] = None,
    revision: Annotated[str | None, typer.Option(help="hf:// only: commit or tag; default: the newest commit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another data set of that name.")] = False,
    params: ParamsOption = Path("params.yaml"),
    raw: Annotated[Path, typer.Option(help="The folder of imported data sets.")] = Path("data/raw"),
    cache: Annotated[Path, typer.Option(help="Downloads that are not complete yet.")] = Path("data/sources"),
    as_json: JsonOption = False,
) -> None:
    """Fetch a data set into *data/raw*, put it under DVC and make it the source of prepare.

    Its hash is in *data/raw/NAME.dvc*: commit that file. `dvc push` then copies the data to DVC's remote, and
    `dvc pull` gets the same data on any machine.
    """
    load_params(params)
    refuse_credentials(source)
    name = source.rstrip("/").rpartition("/")[2] if name is None else name
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII) or name.endswith(".dvc"):
        raise UserError(f"'{name}' can't be the name of a data set: use letters, digits, '-', '_' and '.'; see --name.")
    target = raw / name
    if not any((folder / ".dvc").is_dir() for folder in (Path.cwd(), *Path.cwd().parents)):
        raise UserError(f"{Path.cwd()} is not a DVC repository. Run in the project's root, or 'dvc init' first.")
    commit = revision
    if source.startswith("hf://"):
        from viker.data.formats.base.format import also_on_hub
        from viker.storage.hub import NotOnHub, commit_of

        try:
            commit = commit_of(source, revision)
        except NotOnHub as error:
            raise UserError(f"{error}{also_on_hub(source)}") from None
    fetched = fetch(source, commit, cache)
    _place(fetched, target, source, force, move=is_remote(source))
    md5 = _track(target, source, commit)
    changed = change_params(params, {"prepare": {"source": target.as_posix(), "revision": None}}, params)
    done = {"source": source, "revision": commit, "folder": str(target), "md5": md5, "changed": changed}
    lines = (
        f"{source}{f' at {commit}' if commit else ''}: in {target}, tracked by DVC as {md5}",
        f"{params}: {', '.join(changed) if changed else 'nothing to change'}",
        f"Next: git add {target}.dvc {params}; dvc push (if there is a remote); dvc repro",
    )
    show(done, lines, as_json)


def _place(fetched: Path, target: Path, source: str, force: bool, move: bool) -> None:
    """Move or copy ``fetched`` to ``target``, whole or not at all.

    Raises UserError: another data set is there, and ``force`` isn't set; or a link leads out of the data.
    """
    if target.exists() and target.resolve() == fetched.resolve():
        return
    tracked = target.with_name(f"{target.name}.dvc")
    same = target.exists() and sha256_path(target, visible=True) == sha256_path(fetched, visible=True)
    if (target.exists() or tracked.exists()) and not same and not force:
        raise UserError(
            f"{target}: another data set has this name, and '{source}' differs from it. Choose another with --name, or "
            "replace it with --force; what was committed of it stays in DVC's cache."
        )
    for path in fetched.rglob("*"):
        if path.is_symlink() and not any(map(is_hidden, path.relative_to(fetched).parts)):
            raise UserError(f"{path}: a symbolic link. Put the file itself there: links could lead out of the data.")
    if same:
        return
    if fetched.is_file():
        if target.is_dir():
            shutil.rmtree(target)
        with new_file(target) as temporary:
            shutil.copyfile(fetched, temporary)
        return
    if target.is_file():
        target.unlink()
    with new_folder(target) as temporary:
        if move:  # a copy would take the disk twice
            temporary.rmdir()
            shutil.move(fetched, temporary)
        else:
            shutil.copytree(fetched, temporary, dirs_exist_ok=True, ignore=lambda _, names: filter(is_hidden, names))


def _track(target: Path, source: str, commit: str | None) -> str:
    """Put ``target`` under DVC, note in its .dvc file where it came from, and return its hash."""
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter's DVC, a path as one argument, no shell
    if result.returncode:
        raise UserError(
            f"{target}: DVC can't track it: {' '.join(result.stderr.split())} The data is in place: once that is "
            f"fixed, run 'viker data import {target}'."
        )
    path = target.with_name(f"{target.name}.dvc")
    yaml = YAML()
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"))
    if target.as_posix() != source.rstrip("/"):
        values["meta"] = {"source": source, **({"revision": commit} if commit else {})}
        with new_file(path) as temporary:
            yaml.dump(values, temporary)
    return str(values["outs"][0]["md5"])
