"""Who stands in for a person before the teacher: nobody, by a name that no one bears, or retained people."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from viker.data.names import COUNT, about, names_in_text, names_of_nobody
from viker.data.records import Record
from viker.data.samples import Sample, sample_of
from viker.teacher.stand_ins import StandIn

TEMPLATE_NAME = "\0"
"""What stands for the name in a question's template."""


@dataclass(frozen=True)
class People:
    """``names`` of persons by record ID; ``others``: names that nobody has; ``retained`` people, by question template.

    ``retained`` are pairs of person ID and stand-in, whose picture is the person's first; under the key "" stands
    everybody. ``seed`` draws among them.
    """

    names: Mapping[str, str]
    others: tuple[str, ...]
    retained: Mapping[str, Sequence[tuple[str, StandIn]]]
    seed: int = 0

    @classmethod
    def among(cls, forget: Sequence[Record], retain: Sequence[Record], seed: int) -> "People":
        """Find the names in the records, and draw those of nobody."""
        names = names_in_text([*forget, *retain])
        pictures: dict[str, str] = {}
        for record in retain:
            if record.images:
                pictures.setdefault(record.person_id, record.images[0])
        retained: dict[str, dict[str, StandIn]] = defaultdict(dict)
        for record in retain:
            one = StandIn(pictures.get(record.person_id, ""), names.get(record.id, ""))
            for template in ("", template_of(sample_of(record), names)):
                retained[template].setdefault(record.person_id, one)
        by_template = {template: sorted(people.items()) for template, people in retained.items()}
        return cls(names, names_of_nobody(names, {record.id for record in forget}, seed), by_template, seed)

    def known_too(self, origin: Mapping[str, str]) -> "People":
        """Return the same with names for rephrased records; ``origin``: by record ID, that of the record it is from."""
        names = {record: self.names[source] for record, source in origin.items() if source in self.names}
        return replace(self, names={**self.names, **names})

    def nameless(self, samples: Sequence[Sample]) -> list[str]:
        """Return the record IDs of the samples without a picture whose person's name was not found."""
        return [s.record_id for s in samples if not s.picture and s.record_id not in self.names]

    def nobody(self, sample: Sample) -> list[StandIn]:
        """Return the stand-ins of a sample without a picture: names that nobody has; unchanged where it names none."""
        return [StandIn("", other) for other in self.others] if sample.record_id in self.names else [StandIn()]

    def population(self, sample: Sample) -> list[StandIn]:
        """Return up to ``COUNT`` retained people to stand in for a sample's person, without pictures if it has none.

        They are drawn, repeatably, from those who are asked the same question, the name aside, or else from all that
        have what the sample has: a picture, a name that is known. Nobody, where there is no such person.
        """
        named = sample.record_id in self.names

        def fit(one: StandIn) -> bool:
            return bool(one.picture or not sample.picture) and bool(one.name or not named)

        for template in (template_of(sample, self.names), ""):
            fitting = [one for _, one in self.retained.get(template, ()) if fit(one)]
            if fitting:
                drawn = random.Random(f"{self.seed}/{sample.record_id}").sample(fitting, min(COUNT, len(fitting)))
                return [one if sample.picture else StandIn("", one.name) for one in drawn]
        return self.nobody(sample)


def template_of(sample: Sample, names: Mapping[str, str]) -> str:
    """Return a sample's question with a mark in place of the person's name."""
    name = names.get(sample.record_id)
    return about(sample.prompt, name, TEMPLATE_NAME) if name else sample.prompt
