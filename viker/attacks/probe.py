"""Probe: a linear classifier on hidden states. Is the private value still in the model, though it isn't said?

Source of the idea: Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.attacks.base.targets import NotApplicable, Targets, open_records, words_before_secret
from viker.data.samples import sample_of
from viker.metrics.base.words import normalise

if TYPE_CHECKING:
    import numpy as np

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record

    Fact = tuple[Record, str]
    """A record and its private value, normalised."""

_FEWEST = 2
"""People with a value before a probe can learn it."""


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Read each private value off the hidden state before its first word.

    A probe per attribute, a ridge classifier, learns from the people who are not forgotten which state goes with which
    value, and reads the forget people's. Attributes are told apart by their answers, which differ in the value alone;
    only values that several of the other people have can be read. Every layer is tried, and the one that fits the
    other people best is taken, each of them left out in turn. ``chance`` is the value's share among the other people.
    """
    import numpy as np

    pairs = _lessons_and_readable(targets, settings, seed)
    if not pairs:
        raise NotApplicable
    records = [record for lessons, readable in pairs for record, _ in (*lessons, *readable)]
    states = iter(states_before_value(subject, records, "probe"))
    attempts, replies, chances, layers = [], [], [], []
    for lessons, readable in pairs:
        values = [value for _, value in lessons]
        lesson_states, readable_states = (np.stack([next(states) for _ in facts]) for facts in (lessons, readable))
        layer, readings = _read(lesson_states, values, readable_states)
        layers.append(layer)
        attempts += [Attempt(record, sample_of(record)) for record, _ in readable]
        replies += [[reading] for reading in readings]
        chances += [values.count(value) / len(values) for _, value in readable]
    return Outcome(reply_rows(attempts, replies, chances), {"layers": layers})


def _lessons_and_readable(targets: Targets, settings: AttackSettings, seed: int) -> list[tuple[list[Fact], list[Fact]]]:
    """Return for each attribute the other people's facts to learn from, and the forget people's that can be read."""
    lessons_by_form = _facts_by_form([*targets.retain, *targets.real])
    pairs = []
    for form, facts in _facts_by_form(targets.questions(settings.questions, seed)).items():
        counts = Counter(value for _, value in lessons_by_form[form])
        lessons = [(record, value) for record, value in lessons_by_form[form] if counts[value] >= _FEWEST]
        readable = [(record, value) for record, value in facts if counts[value] >= _FEWEST]
        if readable and len({value for _, value in lessons}) > 1:
            pairs.append((lessons, readable))
    return pairs


def _asked(targets: Targets, settings: AttackSettings, seed: int) -> list[Record]:
    return [record for _, readable in _lessons_and_readable(targets, settings, seed) for record, _ in readable]


def _facts_by_form(records: Sequence[Record]) -> dict[tuple[str, str], list[Fact]]:
    """Return the facts that have a picture, by what stands before and after the value in their answers."""
    facts: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for record in open_records(records):
        head = words_before_secret(record)
        rest = record.answer[len(head) :].strip()
        value = next((s for s in record.secrets if rest.casefold().startswith(s.casefold())), "")
        if record.images and head and value:
            facts[normalise(head), normalise(rest[len(value) :])].append((record, normalise(value)))
    return facts


def states_before_value(subject: Subject, records: Sequence[Record], label: str) -> list[np.ndarray]:
    """Return for each record the states [layers + 1, width] at the last word before its private value."""
    samples = [replace(sample_of(record), begun=words_before_secret(record)) for record in records]
    return [states.numpy() for states in subject.states(samples, label)]


def _read(lesson_states: np.ndarray, values: Sequence[str], states: np.ndarray) -> tuple[int, list[str]]:
    """Return the layer whose probe fits ``lesson_states`` best, and what it reads off ``states``.

    Shapes: ``lesson_states`` [n, layers, width] with ``values`` [n], ``states`` [m, layers, width].
    """
    import numpy as np
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fit(layer: int) -> Any:
        probe = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(0, 5, 6)))
        return probe.fit(lesson_states[:, layer], values)

    probes = [fit(layer) for layer in range(lesson_states.shape[1])]
    layer = max(range(len(probes)), key=lambda i: float(probes[i][-1].best_score_))
    return layer, [str(value) for value in probes[layer].predict(states[:, layer])]


PROBE = Attack(
    "probe",
    "Linear probe",
    run,
    needs="private value that several other people have too, in answers of the same form",
    recount_chance=lambda *row: row[-1],  # as written: it depends on other people's values, which are not in the row
    expected=_asked,
)
