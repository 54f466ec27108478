"""The study: which values a trial takes, what was measured of it, and who goes to the gate.

Only trials that are over are stored, each by one transaction, and the values of a trial depend on the seed, its number
and the trials before it alone. So a study that is killed goes on as if it hadn't been.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from components.contract.tuning import Range
from viker.core.files import canonical

DIRECTIONS = [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
"""The private values' probability on forget, and the divergence from vanilla on retain, nats."""
RANDOM = 5
"""Trials before the sampler has seen enough to model."""
SOUND = 1.0
"""Distance from the teacher, relative to the vanilla model's, from which on the answers have fallen apart."""
MUCH, RECENT = 4.0, 3
"""A trial is pruned where another has forgotten as much and diverged less by this factor, than the least of so many
epochs: the divergence jumps between epochs, and with a retain term it falls again until the end."""

optuna.logging.set_verbosity(logging.WARNING)


@dataclass(frozen=True)
class Probe:
    """What a run measured after an epoch, see ``viker.training.probes``."""

    epoch: int
    forget: float
    teacher: float
    retain: float
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether answers about the people to forget are no further from the teacher's than the vanilla model's."""
        return self.teacher < SOUND


@dataclass(frozen=True)
class Trial:
    """A trial that is over."""

    number: int
    values: dict[str, Any]
    """By dotted key."""
    state: str
    """complete, pruned or failed."""
    probe: Probe | None
    """The last one; None: it failed before."""
    seconds: float
    """Training and probes."""
    probing: float
    """Of them, the probes."""
    error: str = ""


def open_study(database: Path, key: str) -> optuna.Study:
    """Return the study of that key in an SQLite database; a new one where there is none."""
    database.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=f"sqlite:///{database}", study_name=key, directions=DIRECTIONS, load_if_exists=True
    )


def suggest(study: optuna.Study, space: Mapping[str, Any], seed: int, current: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the next trial: first the ``current`` ones, if they are in the space; then the sampler's.

    The sampler is multi-objective TPE, which prefers sound trials that have forgotten (Ozaki et al.
    2022; Watanabe 2023).
    """
    finished, distributions = study.get_trials(deepcopy=False), _distributions(space)
    if not finished and all(_contains(distributions[key], current[key]) for key in space):
        return dict(current)
    sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM, seed=(seed + 7919 * len(finished)) % 2**32)
    memory = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    memory.add_trials(finished)
    return {key: _decoded(distributions[key], value) for key, value in memory.ask(distributions).params.items()}


def store(study: optuna.Study, space: Mapping[str, Any], forgotten: float, trial: Trial) -> None:
    """Add a trial that is over to the study."""
    distributions = _distributions(space)
    complete = trial.state == "complete" and trial.probe is not None
    study.add_trial(
        create_trial(
            state={"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(trial.state, TrialState.FAIL),
            values=[trial.probe.forget, trial.probe.retain] if complete and trial.probe else None,
            params={key: _encoded(distributions[key], value) for key, value in trial.values.items()},
            distributions=distributions,
            user_attrs={"trial": asdict(trial)},
            constraints={"forgotten": trial.probe.forget - forgotten, "sound": trial.probe.teacher - SOUND}
            if trial.probe
            else None,
        )
    )


def trials(study: optuna.Study) -> list[Trial]:
    """Return the trials that are over, in order."""
    return [_read(trial) for trial in study.get_trials(deepcopy=False)]


def read_probes(path: Path) -> list[Probe]:
    """Return the probes in a file, by epoch; a line that is being written isn't one yet."""
    probes: dict[int, Probe] = {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else ():
        if line.endswith("\n"):
            probe = Probe(**json.loads(line))
            probes[probe.epoch] = probe
    return [probes[epoch] for epoch in sorted(probes)]


def pruned_at(probes: Sequence[Probe], epochs: int, finished: Sequence[Trial]) -> Probe | None:
    """Return the probe at which a run of so many epochs is given up, or None.

    It is the first, from half of the epochs on, that a finished trial outdoes by ``MUCH`` over ``RECENT`` epochs,
    or that has been unsound for as long.
    """
    best = [one for _, one in complete(finished) if one.sound]
    for number, probe in enumerate(probes[RECENT - 1 :], RECENT):
        recent = probes[number - RECENT : number]
        least = min(one.retain for one in recent)
        outdone = any(one.forget <= probe.forget and MUCH * one.retain <= least for one in best)
        outdone = outdone or not any(one.sound for one in recent)
        if 2 * probe.epoch >= epochs > probe.epoch and outdone:
            return probe
    return None


def complete(finished: Sequence[Trial]) -> list[tuple[Trial, Probe]]:
    """Return the trials that trained to the end, each with its last probe."""
    return [(trial, trial.probe) for trial in finished if trial.state == "complete" and trial.probe is not None]


def frontier(finished: Sequence[Trial]) -> list[Trial]:
    """Return the complete, sound trials that none outdoes in both objectives, the most forgetful first."""
    points = {(probe.forget, probe.retain) for _, probe in complete(finished) if probe.sound}
    front = [
        (probe.forget, trial.number, trial)
        for trial, probe in complete(finished)
        if probe.sound
        and not any(f <= probe.forget and r <= probe.retain for f, r in points - {(probe.forget, probe.retain)})
    ]
    return [trial for _, _, trial in sorted(front, key=lambda one: one[:2])]


def ranked(finished: Sequence[Trial], forgotten: float) -> list[Trial]:
    """Return the complete trials in the order in which the gate is to see them.

    First those that have forgotten, by how little they diverged; then the others, by how much they have forgotten.
    Unsound ones are left out, unless all are.
    """
    measured = complete(finished)
    sound = [(trial, probe) for trial, probe in measured if probe.sound] or measured
    keys = [
        (probe.forget > forgotten, probe.retain if probe.forget <= forgotten else probe.forget, place)
        for place, (_, probe) in enumerate(sound)
    ]
    return [sound[place][0] for _, _, place in sorted(keys)]


def _distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    return {key: _distribution(values) for key, values in space.items()}


def _distribution(values: Any) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution([canonical(value).decode() for value in values])
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return canonical(value).decode() in distribution.choices
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = not isinstance(distribution, IntDistribution) or isinstance(value, int)
    return number and whole and distribution._contains(value)


def _encoded(distribution: BaseDistribution, value: Any) -> Any:
    return canonical(value).decode() if isinstance(distribution, CategoricalDistribution) else value


def _decoded(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value as params.yaml has it; three digits are enough for people to read."""
    if isinstance(distribution, CategoricalDistribution):
        return json.loads(value)
    if isinstance(distribution, FloatDistribution):
        return min(max(float(f"{value:.3g}"), distribution.low), distribution.high)
    return value


def _read(trial: FrozenTrial) -> Trial:
    stored = trial.user_attrs["trial"]
    return Trial(**stored | {"probe": stored["probe"] and Probe(**stored["probe"])})
