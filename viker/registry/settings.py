"""Settings of the registration."""

from pydantic import Field

from viker.core.settings import Section


class RegisterParams(Section):
    """Where the adapter is registered."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(min_length=1)
