"""params.yaml: one section per stage, validated as a whole; an error names the key, the value and what is allowed."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from components.contract.deployment import DeployParams
from components.contract.stages import stages
from components.contract.tuning import TuneParams
from viker.core.settings import Positive, Section, read_yaml, validated
from viker.tracking.settings import TrackingParams


class Params(Section):
    """The whole of params.yaml; a section per stage besides these, by the stage's name."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    threads: Positive
    """CPU threads of torch; with the seed, what makes a run on the CPU repeatable to the byte."""
    deploy: DeployParams
    tracking: TrackingParams = TrackingParams()
    """Where the curves of a training go besides MLflow."""
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]]
    """Dotted keys and the values that 'viker sweep' tries, every combination of them."""
    tune: TuneParams = TuneParams()
    """What 'viker tune' searches."""

    def section(self, name: str) -> Any:
        """Return the section of a stage."""
        return getattr(self, _field(name))

    def values(self) -> dict[str, Any]:
        """Return all values as JSON has them, under their names in the file."""
        return self.model_dump(mode="json", by_alias=True)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a stage's section; see ``section``."""


@cache
def params_model() -> type[Params]:
    """Return the model of params.yaml, made from the sections that the stages declare."""
    sections: dict[str, Any] = {
        _field(stage.name): (stage.section, Field(alias=stage.name)) for stage in stages().values() if stage.section
    }
    return create_model("Params", __base__=Params, **sections)


def load_params(path: Path) -> Params:
    """Read and validate params.yaml.

    Raises UserError: missing file, invalid YAML, an unknown or missing key, a wrong type, a value out of range.
    """
    return validated(params_model(), read_yaml(path, "Run in the project's root, or name it with --params."), path)


def _field(name: str) -> str:
    return f"{name}_" if hasattr(Section, name) else name  # pydantic has a method 'register'
