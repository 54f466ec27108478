"""One method on one seed: what is forgotten and what is kept, every few steps of unlearning, and what comes back."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods.asking import Asking
from benchmarks.methods.measure import LR, OWN, RATES, WEIGHT
from benchmarks.paper.model import load_known
from benchmarks.paper.people import ANSWERS, People, kind_of, read_people
from components.contract.params import load_params
from viker.attacks.base.subject import Subject
from viker.attacks.relearn import RelearnSettings, train
from viker.core.files import write_json
from viker.data.records import Record
from viker.data.samples import Sample, sample_of
from viker.generation.generate import replies
from viker.generation.score import token_scores
from viker.methods.base.method import MethodSettings, RetainTerm, method_of, methods
from viker.metrics.leakage import leaks
from viker.models.encoder import Encoder
from viker.models.loading import seed_everything
from viker.teacher.people import People as StandIns
from viker.teacher.private_places import places_of_values
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.teacher import TeacherInputs, teach
from viker.training.make_trainer import make_trainer
from viker.training.settings import UnlearnParams

BASELINES = ("ga", "graddiff", "kl", "npo", "simnpo", "rmu", "idk")
TEACHERS = ("irrelevant", "text_only", "counterfactual", "population", "masked")
LAMBDAS = (0.5, 1.0, 2.0)
EVERY, MOST_EPOCHS = 4, 12
LEAST, MOVED = 0.05, 0.02
"""Span accuracy on forget at which a run ends, and by how much it moves until everything is asked again."""
FASTER = 2.0
"""Times the learning rate with an added retain term, which slows forgetting; ViKeR's is then the demo's."""
RETAIN_FACTS = 2
"""Facts of each retained person that are asked on the way."""
BATCH, TOKENS = 64, 24
Questions = Sequence[tuple[Record, Sample, list[int]]]
"""Records, how they are asked, and the places of their private tokens."""


def settings() -> dict[str, MethodSettings]:
    """Return every method, and ViKeR with every teacher and lambda, by name; each without and with a retain term."""
    found: dict[str, MethodSettings] = {}
    for term in ("none", "kl"):
        retain = RetainTerm.model_validate({"term": term, "weight": WEIGHT})
        added = "" if term == "none" else ", KL on retain"
        for name in BASELINES:
            found[f"{methods()[name].heading}{added}"] = methods()[name].settings(**OWN.get(name, {}), retain=retain)
        for teacher in TEACHERS:
            for weight in LAMBDAS:
                own: dict[str, Any] = {"teacher": teacher, "lambda": weight, "retain": retain}
                found[f"ViKeR, {teacher}, λ {weight:g}{added}"] = methods()["viker"].settings(**own)
    return found


def measure_setting(params: Path, text: Path, work: Path, seed: int, name: str) -> str:
    """Measure one setting, in a process of its own, and write ``result_file``; return a line on it."""
    loaded = load_params(params)
    people = read_people(text, seed)
    model, encoder = load_known(people, work / str(seed) / "model", seed, loaded.threads)
    result = measure(loaded.unlearn, settings()[name], people, model, encoder, seed, loaded.threads)
    write_json(result_file(work, seed, name), result)
    last = result["points"][-1]
    return f"seed {seed}, {name}: span {last['span']:.2f}, leak {last['leak']:.2f} after {last['step']} steps"


def result_file(work: Path, seed: int, name: str) -> Path:
    """Return where the measurement of a setting is written."""
    return work / str(seed) / f"{name.replace(' ', '_').replace(',', '').replace('λ', 'lambda')}.json"


def measure(
    params: UnlearnParams, method: MethodSettings, people: People, model: Any, encoder: Encoder, seed: int, threads: int
) -> dict[str, Any]:
    """Unlearn until ``LEAST`` or the last epoch, and return ``points`` on the way and ``relearnt``.

    Every few steps the private tokens of forget are looked at, and where they moved, everything is asked.

    A point has step and seconds; of forget ``span``, the share of private tokens that are the likeliest after the true
    ones before, ``leak``, the share of greedy replies with the value, ``false``, the share with somebody else's value
    of that kind, and ``fluent``, the share in the words of the answers; of retain ``kept_span`` and ``kept`` (replies)
    by person. All are asked in other words and with other pictures than those learnt. ``relearnt``: the leak of the
    other facts after one fact of each person was taught again. ``model`` is the frozen one and isn't changed.
    """
    seed_everything(seed, threads)
    forget = [sample_of(record) for record in people.learnt["forget"]]
    retain = [sample_of(record) for record in people.learnt["retain"]]
    asked = _asked(people, encoder)
    values = _values(people.records)
    began = time.perf_counter()
    teachers: Any = []
    if method_of(method).takes_teacher(method):
        stand_ins = StandIns.among(people.learnt["forget"], people.learnt["retain"], seed)
        private = [record.secrets for record in people.learnt["forget"]]
        inputs = TeacherInputs(forget, [people.irrelevant] * len(forget), private, stand_ins)
        teachers = teach(FrozenModel(model, encoder), inputs, method.teachers or {"irrelevant": 1.0})
    faster = FASTER if method.retain.term != "none" else 1.0
    changes = {"method": method, "lr": faster * RATES.get(method.name, LR), "epochs": MOST_EPOCHS}
    trainer = make_trainer(params.model_copy(update=changes), seed, model, encoder, forget, retain, teachers)
    asking = Asking(
        lambda adapted: _ask(adapted, encoder, asked, values),
        began,
        EVERY,
        lambda point: point["span"] <= LEAST,
        lambda adapted, last: abs(_span(adapted, encoder, asked["forget"]) - last["span"]) >= MOVED,
    )
    trainer.add_callback(asking)
    trainer.train()
    relearnt = _relearnt(trainer.model.eval(), encoder, people, seed)
    trainer.model.unload().requires_grad_(False)
    return {"points": asking.points, "relearnt": relearnt}


def _asked(people: People, encoder: Encoder) -> dict[str, Questions]:
    """Return what is asked on the way: all facts of who is forgotten, some of everybody else."""
    few: dict[str, list[Record]] = defaultdict(list)
    for record in people.asked["retain"]:
        few[record.person_id].append(record)
    chosen = {"forget": people.asked["forget"], "retain": [r for own in few.values() for r in own[:RETAIN_FACTS]]}
    return {
        split: [(r, s, places_of_values(encoder, s, r.secrets)) for r in own for s in [sample_of(r)]]
        for split, own in chosen.items()
    }


def _values(records: Iterable[Record]) -> dict[str, list[str]]:
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        values[kind_of(record)].update(dict.fromkeys(record.secrets))
    return {kind: list(own) for kind, own in values.items()}


def _ask(
    model: Any, encoder: Encoder, asked: Mapping[str, Questions], values: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    said = {
        split: replies(model, encoder, [sample for _, sample, _ in own], BATCH, TOKENS, "")
        for split, own in asked.items()
    }
    forget = [record for record, *_ in asked["forget"]]
    pairs = list(zip(said["forget"], forget, strict=True))
    kept_span: dict[str, list[bool]] = defaultdict(list)
    kept: dict[str, list[bool]] = defaultdict(list)
    for reply, hit, (record, *_) in zip(
        said["retain"], _right(model, encoder, asked["retain"]), asked["retain"], strict=True
    ):
        kept_span[record.person_id] += hit
        kept[record.person_id].append(bool(leaks(reply, record.secrets)))
    return {
        "span": _span(model, encoder, asked["forget"]),
        "leak": _share(bool(leaks(reply, record.secrets)) for reply, record in pairs),
        "false": _share(_false(reply, record, values) for reply, record in pairs),
        "fluent": _share(_fluent(reply, record) for reply, record in pairs),
        "kept_span": {person: sum(own) / len(own) for person, own in kept_span.items()},
        "kept": {person: sum(own) / len(own) for person, own in kept.items()},
    }


def _right(model: Any, encoder: Encoder, asked: Questions) -> list[list[bool]]:
    """Return of each answer which of its private tokens are the likeliest after the true ones before."""
    scores = token_scores(model, encoder, [sample for _, sample, _ in asked], BATCH)
    return [[bool(one.hit[place]) for place in places] for one, (*_, places) in zip(scores, asked, strict=True)]


def _span(model: Any, encoder: Encoder, asked: Questions) -> float:
    hits = [hit for own in _right(model, encoder, asked) for hit in own]
    return sum(hits) / len(hits)


def _false(reply: str, record: Record, values: Mapping[str, Sequence[str]]) -> bool:
    others = [value for value in values[kind_of(record)] if value not in record.secrets]
    return bool(leaks(reply, others)) and not leaks(reply, record.secrets)


def _fluent(reply: str, record: Record) -> bool:
    before, _, after = ANSWERS[kind_of(record)].partition("{}")
    return reply.startswith(before) and reply.endswith(after) and len(reply) > len(before) + len(after)


def _share(flags: Iterable[bool]) -> float:
    counted = list(flags)
    return sum(counted) / len(counted)


def _relearnt(model: Any, encoder: Encoder, people: People, seed: int) -> float:
    """Teach one fact of each person again, as the attack relearn_forget does, and return the leak of the others."""
    first: dict[str, Record] = {}
    for record in people.learnt["forget"]:
        first.setdefault(record.person_id, record)
    taught = {(person, kind_of(record)) for person, record in first.items()}
    others = [record for record in people.asked["forget"] if (record.person_id, kind_of(record)) not in taught]
    subject = Subject("unlearned", model, True, encoder, BATCH, TOKENS)
    lessons = [sample_of(record) for record in first.values()]
    worst = 0.0
    for step, learner in train(subject, lessons, RelearnSettings(), seed, "relearning"):
        if step:
            said = learner.replies([sample_of(record) for record in others], f"after {step} steps")
            worst = max(worst, _share(bool(leaks(a, r.secrets)) for a, r in zip(said, others, strict=True)))
    return worst
