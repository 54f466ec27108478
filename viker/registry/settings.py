"""Settings of the registration."""

from typing import Annotated, Literal

from pydantic import Field

from viker.core.settings import Section


class RegisterParams(Section):
    """Where the adapter is registered."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(min_length=1)
    publish: Literal["redacted", "full"] = "redacted"
    """Whether what MLflow gets holds no private value, name, ID or picture of anybody, or everything."""
    purge_after: Annotated[str, Field(pattern=r"^\d{1,5}[dw]$")] | None = None
    """Age, such as 0d, 30d or 4w, from which engines purge requests that are carried out, once a version was promoted;
    null: nobody is purged but by ``viker purge``."""
