"""The section evaluate.attacks of params.yaml: attack names with their settings, each checked by its attack's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, TypeAdapter, ValidationError, with_config
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import TypedDict

from viker.attacks.base.attack import Attack, AttackSettings, load_attacks
from viker.core.errors import nearest_or_known


def check_sections(values: Any) -> Any:
    """Return ``values``, in their order, as the settings of the attacks that they name.

    Raises ValidationError: no such attack, or a setting that it doesn't have or doesn't allow.
    """
    attacks = load_attacks()
    fields = {name: one.settings for name, one in attacks.items()}
    sections: Any = TypedDict("Attacks", fields, total=False)  # type: ignore[misc]  # mypy wants a literal
    adapter: TypeAdapter[Any] = TypeAdapter(with_config(extra="forbid")(sections))
    try:
        checked: dict[str, AttackSettings] = adapter.validate_python(values)
    except ValidationError as error:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("attack", "{message}", {"message": _message(dict(details), attacks)}),
                loc=details["loc"],
                input=details["input"],
            )
            for details in error.errors()
        ]
        raise ValidationError.from_exception_data("attacks", problems) from None
    return {name: checked[name] for name in values}


def _message(details: Mapping[str, Any], attacks: Mapping[str, Attack]) -> str:
    if details["type"] != "extra_forbidden":
        return str(details["msg"])
    *attack, key = map(str, details["loc"])
    if attack:
        return f"{attack[0]} has no such setting: {nearest_or_known(key, attacks[attack[0]].settings.model_fields)}"
    return f"there is no such attack: {nearest_or_known(key, attacks)}"


AttackSections = Annotated[dict[str, SerializeAsAny[AttackSettings]], BeforeValidator(check_sections)]
"""Attack names with their settings, in the order of the file, which is the order in which the attacks are made."""
