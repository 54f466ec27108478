"""Settings of the registration."""

from typing import Literal

from pydantic import Field

from viker.core.settings import Section


class RegisterParams(Section):
    """Where the adapter is registered."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(min_length=1)
    publish: Literal["redacted", "full"] = "redacted"
    """Whether what MLflow gets holds no private value, name, ID or picture of anybody, or everything."""
