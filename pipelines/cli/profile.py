"""Profiles: files in params/ that hold only the keys of params.yaml that they change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.contract.params import load_params
from viker.core.console import ParamsOption
from viker.core.errors import UserError
from viker.core.files import new_file


def profile(
    name: Annotated[str, typer.Argument(help="A profile: the name of a file in the folder of profiles.")],
    params: ParamsOption = Path("params.yaml"),
    profiles: Annotated[Path, typer.Option(help="The folder of profiles.")] = Path("params"),
) -> None:
    """Write a profile's values into params.yaml, and say which keys changed.

    A profile holds only the keys that it changes; all others, and the comments, stay as they are. A list is replaced
    as a whole. Profiles add up: where two of them change different keys, applying both leaves the changes of both.

    The profile *demo* holds the demo's value of every key that another profile changes: `viker profile demo` is the
    way back. Values that you changed yourself come back with `git checkout params.yaml`.
    """
    changed = apply_profile(name, params, profiles)
    typer.echo(f"{params}: {', '.join(changed) if changed else f'nothing to change, it has the values of {name}'}")


def apply_profile(name: str, params_path: Path, profiles_dir: Path) -> list[str]:
    """Merge ``profiles_dir/NAME.yaml`` into the file ``params_path`` and return the keys whose value changed.

    Nothing is written unless the whole result is valid.

    Raises:
        UserError: there is no such profile (the message lists those that exist), one of the files isn't valid YAML,
            or the profile has an unknown key or a value that isn't allowed.
    """
    existing = sorted(path.stem for path in profiles_dir.glob("*.yaml"))
    if name not in existing:
        raise UserError(
            f"no profile '{name}' in {profiles_dir}: there is {', '.join(existing) or 'none'}. "
            f"A profile is a file {profiles_dir}/NAME.yaml with the keys of params.yaml that it changes."
        )
    source = profiles_dir / f"{name}.yaml"
    load_params(params_path)
    return change_params(params_path, _read(source), source)


def change_params(params_path: Path, changes: dict[str, Any], source: Path) -> list[str]:
    """Merge ``changes`` into the file ``params_path``, comments kept, and return the keys whose value changed.

    Nothing is written unless the whole result is valid.

    Raises:
        UserError: the result isn't valid; the message names ``source``, where the changes come from.
    """
    yaml = _round_trip()
    values = yaml.load(params_path.read_text(encoding="utf-8"))
    changed = list(_merge(values, changes, ""))
    if changed:
        with new_file(params_path) as temporary:
            with temporary.open("w", encoding="utf-8") as stream:
                yaml.dump(values, stream)
            _validate(temporary, source)
    return changed


def _read(source: Path) -> dict[str, Any]:
    try:
        values = _round_trip().load(source.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{source}: expected sections such as 'prepare:' and 'unlearn:', found {values!r}.")
    return values


def _merge(values: dict[str, Any], changes: dict[str, Any], above: str) -> Iterator[str]:
    """Write ``changes`` into ``values``, sections into sections, and yield the dotted keys that differ.

    A section with another ``name``, such as another method, replaces the whole: its settings are others.
    """
    for key, value in changes.items():
        before = values.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and value.get("name") in (None, before.get("name")):
            yield from _merge(values[key], value, f"{above}{key}.")
        elif key not in values or values[key] != value:
            values[key] = float(value) if isinstance(value, float) else value  # plain: written out to the last digit
            yield f"{above}{key}"


def _validate(merged: Path, source: Path) -> None:
    try:
        load_params(merged)
    except UserError as error:
        raise UserError(str(error).replace(str(merged), str(source))) from None


def _round_trip() -> YAML:
    """Return a reader and writer that keeps comments, quotes, order and the layout of params.yaml."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml
