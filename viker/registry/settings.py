"""Settings of the registration."""

import re
from typing import Literal

from pydantic import Field, field_validator

from viker.core.settings import Section


class RegisterParams(Section):
    """Where the adapter is registered."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(min_length=1)
    publish: Literal["redacted", "full"] = "redacted"
    """Whether what MLflow gets holds no private value, name, ID or picture of anybody, or everything."""
    purge_after: str | None = None
    """Age, such as 0d, 30d or 4w, from which engines purge requests that are carried out, once a version was promoted;
    null: nobody is purged but by ``viker purge``."""

    @field_validator("purge_after")
    @classmethod
    def _is_an_age(cls, age: str | None) -> str | None:
        if age is not None and not re.fullmatch(r"\d{1,5}[dw]", age):
            raise ValueError("expected days or weeks, such as 0d, 30d or 4w, or null")
        return age
