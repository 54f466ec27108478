"""Settings of the evaluation."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from viker.attacks.base.sections import AttackSections
from viker.core.settings import Positive, Section
from viker.data.protocols import Protocol, load_protocol, protocol_path


class EvaluateParams(Section):
    """How the models are questioned."""

    batch_size: Positive
    """The most samples in one pass, on a GPU four times as many replies; fewer where its memory holds fewer."""
    protocol: str
    """The name of a file in viker/data/protocols, or the path of a protocol of your own."""
    max_new_tokens: Positive | None
    """The most tokens of any reply, in place of the protocol's; null: the protocol's."""
    retrained: str | None
    """A folder or hub name of a model trained on retain alone, or the folder of such an adapter (method retrain)."""
    gibberish_classifier: str | None = None
    """A folder or hub name of a classifier with a class ``clean``, asked about every open reply; None: none is."""
    processes: Annotated[int, Field(ge=1, le=2)] = 1
    """2: the vanilla model is asked by a second process at the same time, with a model of its own in memory."""
    attacks: AttackSections

    @model_validator(mode="before")
    @classmethod
    def _present_form(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "one_sentence" in values:
            raise ValueError(
                "one_sentence: how questions are asked now stands in a protocol, such as 'protocol: viker', or "
                "'protocol: mllmu' for open questions in one sentence. 'viker params upgrade' rewrites params.yaml and "
                "the profiles"
            )
        return values

    @field_validator("protocol")
    @classmethod
    def _known(cls, protocol: str) -> str:
        protocol_path(protocol)
        return protocol

    def figures(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the numbers among the settings of the attacks that are made, for a policy to hold them to.

        Of a list of numbers it is the largest; of another list, how many they are. ``attacks`` by attack and setting.
        """
        made = {name: section for name, section in self.attacks.items() if section.enabled}
        return {"attacks": {name: _numbers(section.model_dump(mode="json")) for name, section in made.items()}}

    def in_force(self) -> Protocol:
        """Return the protocol with this section's length of replies. Raises UserError: its file is missing or wrong."""
        return load_protocol(self.protocol).shortened(self.max_new_tokens)


def _numbers(settings: Mapping[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, value in settings.items():
        if isinstance(value, list):
            numbers = [one for one in value if isinstance(one, int | float)]
            figures[name] = float(max(numbers) if numbers else len(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            figures[name] = float(value)
    return figures
