"""A linear probe on hidden states: is the private value still inside the model, though it no longer says it?

Source of the idea: Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from viker.attacks.prefix import beginning
from viker.attacks.settings import AttackParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, row
from viker.attacks.targets import NotApplicable, Targets, open_records
from viker.data.records import Record
from viker.metrics.base.words import normalise
from viker.models.chat import sample_of

_BATCH = 16
"""Samples at once: the states of all layers are kept until the last word's are taken out."""
_FEWEST = 2
"""People with a value before a probe can learn it."""
_ALPHAS = np.logspace(0, 5, 6)
Fact = tuple[Record, str]
"""A record and its private value, normalised."""


def run(subject: Subject, targets: Targets, settings: AttackParams, seed: int) -> Attacked:
    """Read each private value off the hidden state before its first word.

    A probe for an attribute, a ridge classifier, learns from the people who are not forgotten which state goes with
    which value, and reads the forget people's. An attribute is told by its answers, which differ in the value alone;
    only values that several of the other people have can be read. Every layer is tried; the one that fits the other
    people best, each left out in turn, is taken. ``chance`` is the value's share among the other people.

    Raises:
        NotApplicable: no forget person has a value that others have too, in answers of the same form.
    """
    known = _attributes([*targets.retain, *targets.real])
    asked = _attributes(targets.questions(settings.questions, seed))
    pairs = []
    for form, facts in asked.items():
        counts = Counter(value for _, value in known[form])
        learnt = [(record, value) for record, value in known[form] if counts[value] >= _FEWEST]
        there = [(record, value) for record, value in facts if counts[value] >= _FEWEST]
        if there and len({value for _, value in learnt}) > 1:
            pairs.append((learnt, there))
    if not pairs:
        raise NotApplicable("no forget person has a private value that several other people have in a like answer")
    states = iter(_states(subject, [record for learnt, there in pairs for record, _ in (*learnt, *there)]))
    rows, layers = [], []
    for learnt, there in pairs:
        values = [value for _, value in learnt]
        seen, met = (np.stack([next(states) for _ in facts]) for facts in (learnt, there))
        layer, read = _read(seen, values, met)
        layers.append(layer)
        for (record, value), said in zip(there, read, strict=True):
            share = values.count(value) / len(values)
            rows.append(row(Question(record, sample_of(record)), [said]) | {"chance": share})
    return Attacked(pd.DataFrame(rows), {"layers": layers})


def _attributes(records: Sequence[Record]) -> dict[tuple[str, str], list[Fact]]:
    """Return the facts that have a picture, by what stands before and after the value in their answers."""
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for record in open_records(records):
        head = beginning(record)
        rest = record.answer[len(head) :].strip()
        value = next((s for s in record.secrets if rest.casefold().startswith(s.casefold())), "")
        if record.images and head and value:
            found[normalise(head), normalise(rest[len(value) :])].append((record, normalise(value)))
    return found


@torch.no_grad()
def _states(subject: Subject, records: Sequence[Record]) -> list[np.ndarray]:
    """Return for each record the states [layers + 1, width] at the last word before its private value."""
    samples = [replace(sample_of(record), answer=beginning(record)) for record in records]
    found: list[np.ndarray] = []
    with subject.as_is() as model, tqdm(total=len(samples), desc=f"probe, {subject.name}", unit="question") as bar:
        for start in range(0, len(samples), _BATCH):
            batch = subject.encoder.batch(samples[start : start + _BATCH])
            layers = model(**batch.inputs, output_hidden_states=True, use_cache=False).hidden_states
            last = torch.stack([layer[:, -2] for layer in layers], 1)  # the very last is the end token's
            found += list(last.float().cpu().numpy())
            bar.update(len(last))
    return found


def _read(seen: np.ndarray, values: Sequence[str], met: np.ndarray) -> tuple[int, list[str]]:
    """Return the layer whose probe fits ``seen`` [n, layers, width] best, and what it reads off ``met``."""
    best: tuple[float, int, Any] | None = None
    for layer in range(seen.shape[1]):
        probe = make_pipeline(StandardScaler(), RidgeClassifierCV(_ALPHAS)).fit(seen[:, layer], values)
        score = float(probe[-1].best_score_)
        if best is None or score > best[0]:
            best = (score, layer, probe)
    assert best is not None  # noqa: S101 - a model has layers
    return best[1], [str(value) for value in best[2].predict(met[:, best[1]])]
