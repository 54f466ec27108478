"""``viker params``: the schema of params.yaml, and files of earlier versions rewritten in today's form."""

from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.contract.params import params_model
from pipelines.cli.profile import round_trip
from viker.attacks.base.attack import load_attacks
from viker.core.console import command_group, say_json
from viker.core.errors import UserError
from viker.core.files import new_file, write_json
from viker.core.settings import shown
from viker.methods.base.method import methods
from viker.training.settings import MOVED, RETAIN_WEIGHT

app = command_group("Describe params.yaml to editors, and bring files of earlier versions up to date.")


@app.command()
def upgrade(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files; params.yaml and the profiles in params/ where none is named.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
) -> None:
    """Rewrite parameter files and profiles of earlier versions in today's form, comments kept.

    Prints each key that moves or goes. A file that is up to date is not touched.
    """
    outdated = False
    for path in files or [Path("params.yaml"), *sorted(Path("params").rglob("*.yaml"))]:
        values = _load(path)
        changes = upgrade_values(values, path)
        for change in changes:
            typer.echo(f"{path}: {change}")
        if changes and not check:
            with new_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
                round_trip().dump(values, stream)
        outdated = outdated or bool(changes)
    if not outdated:
        typer.echo("nothing to change")
    if check and outdated:
        raise typer.Exit(1)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it to this file; without, it is printed.")] = None,
) -> None:
    """Print the JSON schema of params.yaml, for editors and other programs.

    Editors with yaml-language-server read it where the first line of *params.yaml* says.
    """
    values = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema_of_params()}
    if out is None:
        say_json(values)
    else:
        write_json(out, values)


def schema_of_params() -> dict[str, Any]:
    """Return the JSON schema of params.yaml; sections and plug-ins installed here included."""
    values = params_model().model_json_schema(by_alias=True)
    attacks = {name: attack.settings.model_json_schema() for name, attack in load_attacks().items()}
    values["$defs"]["EvaluateParams"]["properties"]["attacks"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": attacks,
    }
    return values


def upgrade_values(values: CommentedMap, path: Path) -> list[str]:
    """Bring the values of a parameter file or profile into today's form, in place, and return what changed.

    The settings of a method move from the section 'unlearn' into ``unlearn.method``, swept keys with them; those of
    methods other than the file's own go. The weight of the retain term moves along, so that results stay the same.
    ``evaluate.one_sentence`` becomes the protocol that asks so.

    Raises UserError: a profile has settings of several methods but doesn't name its method.
    """
    changes = []
    section = values.get("unlearn")
    swept = values.get("sweep")
    swept = swept if isinstance(swept, CommentedMap) else CommentedMap()
    if isinstance(section, CommentedMap):
        changes += _method_settings(section, path)
        changes += _retain_term(section, f"unlearn.{RETAIN_WEIGHT}" in swept)
    asked = values.get("evaluate")
    if isinstance(asked, CommentedMap) and "one_sentence" in asked:
        protocol = "mllmu" if asked["one_sentence"] else "viker"
        _rename(asked, "one_sentence", "protocol")
        asked["protocol"] = protocol
        asked.ca.items.pop("protocol", None)
        changes.append(f"evaluate.one_sentence is now evaluate.protocol {protocol}")
    moves = {f"unlearn.{key}": f"unlearn.method.{key}" for key in MOVED}
    moves[f"unlearn.{RETAIN_WEIGHT}"] = "unlearn.method.retain.weight"
    for key in [key for key in swept if key in moves]:
        _rename(swept, key, moves[key])
        changes.append(f"sweep: {key} is now {moves[key]}")
    return changes


def _method_settings(section: CommentedMap, path: Path) -> list[str]:
    moved = [key for key in MOVED if key in section]
    name = section.get("method")
    if not moved:
        return []
    if name is not None and name not in methods():
        raise UserError(f"{path}: unlearn.method is {name!r}; expected {', '.join(methods())}. Correct it first.")
    if name is None and not set.intersection(*(set(MOVED[key]) for key in moved)):
        raise UserError(
            f"{path}: {', '.join(moved)} in 'unlearn' are settings of several methods. Add 'method: NAME' next to them."
        )
    settings, changes = CommentedMap(), []
    if name is not None:
        settings["name"] = name
        _move_comment(section, "method", settings, "name")
        changes.append(f"unlearn.method {name} is now unlearn.method.name")
    for key in moved:
        if name is None or name in MOVED[key]:
            settings[key] = section[key]
            _move_comment(section, key, settings, key)
            changes.append(f"unlearn.{key} is now unlearn.method.{key}")
        else:
            changes.append(f"unlearn.{key} is gone: the method {name} has no such setting")
    place = list(section).index("method" if name is not None else moved[0])
    for key in ({"method"} if name is not None else set()) | set(moved):
        del section[key]
        section.ca.items.pop(key, None)
    section.insert(place, "method", settings)
    return changes


def _retain_term(section: CommentedMap, swept: bool) -> list[str]:
    """Move the weight of KL on retain samples into the method's ``retain``; ``swept``: other weights are tried too."""
    if RETAIN_WEIGHT not in section:
        return []
    method = section.get("method", CommentedMap())
    if isinstance(method, str):
        method = CommentedMap(name=method)
        _move_comment(section, "method", method, "name")
    weight, place = section[RETAIN_WEIGHT], list(section).index(RETAIN_WEIGHT)
    if "method" not in section:
        section.insert(place, "method", method)
    else:
        section["method"] = method
    comment = CommentedMap()
    _move_comment(section, RETAIN_WEIGHT, comment, "retain")
    del section[RETAIN_WEIGHT]
    if method.get("name") == "retrain":
        return [f"unlearn.{RETAIN_WEIGHT} is gone: the method retrain has no such setting"]
    retain = CommentedMap(term="kl" if weight or swept else "none", weight=weight)
    retain.fa.set_flow_style()
    method["retain"] = retain
    _move_comment(comment, "retain", method, "retain")
    return [f"unlearn.{RETAIN_WEIGHT} is now unlearn.method.retain"]


def _rename(mapping: CommentedMap, old: str, new: str) -> None:
    place, value = list(mapping).index(old), mapping[old]
    comment = mapping.ca.items.pop(old, None)
    del mapping[old]
    mapping.insert(place, new, value)
    if comment is not None:
        mapping.ca.items[new] = comment


def _move_comment(source: CommentedMap, old: str, target: CommentedMap, new: str) -> None:
    if old in source.ca.items:
        target.ca.items[new] = source.ca.items.pop(old)


def _load(path: Path) -> Any:
    try:
        values = round_trip().load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}). Name a parameter file, or a profile.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections such as 'prepare:' and 'unlearn:', found {shown(values)}.")
    return values
