"""Profiles: files in params/ that hold only the keys of params.yaml that they change, composed by OmegaConf."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from components.contract.params import load_params
from viker.core.console import JsonOption, ParamsOption, say_json
from viker.core.errors import UserError
from viker.core.files import new_file
from viker.core.settings import read_yaml, shown


def profile(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Profiles; where two set the same key, the later wins."),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
    profiles: Annotated[Path, typer.Option(help="The folder of profiles.")] = Path("params"),
    as_json: JsonOption = False,
) -> None:
    """Write the values of one or more profiles into params.yaml and print the keys that changed.

    `viker profile llava-1.5-7b mllmu-10` combines a model with a data set; without a name, the profiles are listed.

    A profile holds only the keys that it changes; all others, and the comments, stay as they are. Lists are replaced,
    not merged. Profiles accumulate: applying a second one keeps what the first one changed elsewhere.

    The profile *demo* resets every key that another profile changes. `git checkout params.yaml` resets the rest.
    """
    if not names:
        if as_json:
            say_json({name: _comment(path) for name, path in _available(profiles).items()})
        else:
            typer.echo("\n".join(_listing(profiles)))
        return
    changed = apply_profiles(names, params, profiles)
    if as_json:
        say_json({"changed": changed})
        return
    unchanged = f"nothing to change, it already has the values of {' '.join(names)}"
    typer.echo(f"{params}: {', '.join(changed) or unchanged}")


def apply_profiles(names: Sequence[str], params_path: Path, folder: Path) -> list[str]:
    """Merge profiles into the file ``params_path`` and return the dotted keys whose value changed.

    Nothing is written unless the whole result is valid.

    Raises UserError: an unknown profile, a file that isn't valid YAML, an unknown key or a value that isn't allowed.
    """
    sources = [path for name in names for path in _find(name, folder)]
    load_params(params_path)
    return change_params(params_path, _compose(sources), " with ".join(map(str, sources)))


def change_params(params_path: Path, changes: dict[str, Any], source: Path | str) -> list[str]:
    """Merge ``changes`` into the file ``params_path``, comments kept, and return the dotted keys whose value changed.

    Nothing is written unless the whole result is valid.

    Raises UserError: the result isn't valid; the message names ``source``, where the changes come from.
    """
    yaml = round_trip()
    values = yaml.load(params_path.read_text(encoding="utf-8"))
    changed = list(_merge(values, changes, ""))
    if changed:
        with new_file(params_path) as temporary:
            with temporary.open("w", encoding="utf-8") as stream:
                yaml.dump(values, stream)
            try:
                load_params(temporary)
            except UserError as error:
                raise UserError(str(error).replace(str(temporary), str(source))) from None
    return changed


def _available(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.rglob("*.yaml"))}


def _listing(folder: Path) -> Iterator[str]:
    """Yield one line per profile, grouped by subfolder: its name and its first comment."""
    available = _available(folder)
    width = max(map(len, available), default=0)
    for group in sorted({path.parent for path in available.values()}):
        yield f"{group}:"
        for name, path in available.items():
            if path.parent == group:
                yield f"  {name:{width}}  {_comment(path)}".rstrip()


def _comment(path: Path) -> str:
    """Return what the first line of a profile says of it, if anything."""
    first_line = path.read_text(encoding="utf-8").partition("\n")[0]
    return first_line.removeprefix("#").strip() if first_line.startswith("#") else ""


def _find(name: str, folder: Path) -> list[Path]:
    """Return the file of a profile, or the two files of 'ONE-OTHER'."""
    available = _available(folder)
    if name in available:
        return [available[name]]
    for first, path in available.items():
        if (second := name.removeprefix(f"{first}-")) in available:
            return [path, available[second]]
    raise UserError(
        f"no profile '{name}' in {folder}: there is {', '.join(sorted(available)) or 'none'}. "
        "A profile is a file NAME.yaml in or below that folder, with the keys of params.yaml that it changes."
    )


def _compose(sources: Sequence[Path]) -> dict[str, Any]:
    """Merge the files, later ones over earlier ones; ``${profile}`` in a value is their joined names."""
    composed = OmegaConf.create({"profile": "-".join(path.stem for path in sources)})
    for source in sources:
        values = read_yaml(source, "")
        if not isinstance(values, dict):
            raise UserError(f"{source}: expected sections such as 'prepare:' and 'unlearn:', found {shown(values)}.")
        try:
            composed.merge_with(values)
            OmegaConf.resolve(composed)
        except OmegaConfBaseException as error:
            raise UserError(f"{source}: can't be composed: {' '.join(str(error).split())}") from None
    del composed["profile"]
    changes: Any = OmegaConf.to_container(composed)
    return dict(changes)


def _merge(values: CommentedMap, changes: dict[str, Any], above: str) -> Iterator[str]:
    """Write ``changes`` into ``values``, mapping by mapping, and yield the dotted keys that differ.

    A mapping with another ``name``, such as another method, is replaced as a whole: it has other settings.
    """
    for key, value in changes.items():
        before = values.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and value.get("name") in (None, before.get("name")):
            yield from _merge(before, value, f"{above}{key}.")
        elif key not in values or values[key] != value:
            values[key] = _in_one_line(value) if isinstance(value, list) else value
            for comment in filter(None, values.ca.items.get(key, ())):
                if not isinstance(comment, list):  # at the end of the line: one space after the value, however long
                    comment.column = 0
            yield f"{above}{key}"


def _in_one_line(values: list[Any]) -> CommentedSeq:
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


def round_trip() -> YAML:
    """Return a reader and writer that keeps comments, quotes, order and the layout of params.yaml."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml
