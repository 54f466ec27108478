"""YAML that people write: read, held to a pydantic model, and what is wrong said with file and key."""

import reprlib
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from viker.core.errors import UserError, nearest_or_known
from viker.core.redact import has_credentials, without_secrets

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def _no_credentials(address: str) -> str:
    if has_credentials(address):
        raise ValueError("an address with credentials in it; they come from the environment, and these are known now")
    return address


Address = Annotated[str, AfterValidator(_no_credentials)]
"""A path or a URI; without credentials."""


class Section(BaseModel):
    """A section of a YAML file: unknown keys are errors, values don't change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


AnySection = TypeVar("AnySection", bound=Section)


def read_yaml(path: Path, missing: str) -> Any:
    """Read a YAML file.

    Raises UserError: it is missing (``missing`` says what to do then), can't be read, or isn't YAML.
    """
    try:
        return deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. {missing}") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}). Expected a file that you may read.") from None
    except Exception as error:  # besides its own errors, the parser lets through those of int(), date() and recursion
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Parse YAML once per text: a command reads the same parameters several times, at 30 ms each."""
    return YAML(typ="safe", pure=True).load(text)


def validated(model: type[AnySection], values: Any, path: Path) -> AnySection:
    """Return the model of what ``path`` holds.

    Raises UserError: no mapping, an unknown or missing key, a wrong type, a value that isn't allowed.
    """
    if not isinstance(values, dict):
        first = " and ".join(f"'{name}:'" for name in _keys(model)[:2])
        raise UserError(f"{path}: expected keys such as {first}, found {shown(values)}.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(model, dict(e)) for e in error.errors()[:5])
        raise UserError(f"{path}: {problems}{'' if problems.endswith('?') else '.'}") from None


def shown(value: Any) -> str:
    """Return a value for a message, shortened and without secrets: a file from outside may hold a very long one."""
    return without_secrets(" ".join(_SHORT.repr(value).split()))


def _explain(model: type[Section], error: dict[str, Any]) -> str:
    keys, _ = _locate(model, error["loc"])
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        hint = nearest_or_known(str(error["loc"][-1]), _keys(_locate(model, error["loc"][:-1])[1]))
        return f"unknown key '{key[:80]}' (value {shown(error['input'])}): {hint}"
    if error["type"] == "missing":
        return f"missing key '{key}'"
    if error["type"] == "union_tag_not_found":
        return f"missing key '{key}.name', which says whose settings these are"
    if error["type"] == "model_type":
        return f"'{key}' is {shown(error['input'])}: expected keys and values, as '{keys[-1]}: {{name: value}}'"
    message = error["msg"].removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}"
    if not key or isinstance(error["input"], dict):
        return f"'{key}': {message}" if key else message
    return f"'{key}' is {shown(error['input'])}: {message}"


def _locate(model: type[Section], location: tuple[Any, ...]) -> tuple[list[str], type[Section]]:
    """Return the keys of a place in the file, and the last section on the way there.

    Where sections are the members of a union, ``location`` has the member's tag after the key; the file has not.
    """
    keys: list[str] = []
    section, members = model, dict[Any, type[Section]]()
    for part in location:
        if part in members:
            section, members = members[part], {}
            continue
        keys.append(str(part))
        field = next((f for n, f in section.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue
        kinds = (field.annotation, *get_args(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if isinstance(field.discriminator, str):
            members = {kind.model_fields[field.discriminator].default: kind for kind in sections}
        elif sections:
            section = sections[0]
    return keys, section


def _keys(model: type[Section]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
