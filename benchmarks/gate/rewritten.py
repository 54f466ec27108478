"""Evidence that was rewritten: an honest adapter's replies replaced, everything counted again, and sealed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.gate.tree import Tree
from viker.core.files import sha256_path, write_json
from viker.data.records import SPLITS, read_records, write_records
from viker.evaluation.questions import Question, read_questions
from viker.evaluation.rows import attribute, value_of
from viker.evidence.seal import params_digest, seal
from viker.gate.recount import count, numbers_of

WRONG = "Nowhere at all."
PEOPLE_LOST, PLACES = 5, 5
Say = Callable[[Question], str | None]
"""Returns the new reply to a question; None: the old one stays."""


def fills_gaps(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The truth in every gap about the people to forget."""
    return _say(honest, out, lambda q: q.record.answer if _forgotten(q) and q.record.task == "cloze" else None)


def knows_names(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The truth to the test's questions without a picture."""
    return _say(honest, out, lambda q: _truth(q) if q.split == "test" and not q.sample.picture else None)


def loses_text_gaps_and_choices(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Wrong answers about everyone else to whatever isn't an open question with a picture."""

    def say(question: Question) -> str | None:
        plain = question.spoken and question.sample.picture
        return None if _forgotten(question) or plain else WRONG

    return _say(honest, out, say)


def loses_five(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Wrong answers to every question with a picture about five retain people, the truth about all others."""
    people = sorted({record.person_id for record in read_records(honest.prepared, "retain")})[:PEOPLE_LOST]

    def say(question: Question) -> str | None:
        if question.split != "retain" or not question.sample.picture:
            return None
        return WRONG if question.record.person_id in people else _truth(question)

    return _say(honest, out, say)


def swaps_people(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Of each person to forget what is true of the next one."""
    questions = _questions(honest)
    values = {(q.record.person_id, attribute(q)): value for q in questions if _forgotten(q) and (value := value_of(q))}
    people = sorted({person for person, _ in values})
    after = dict(zip(people, [*people[1:], people[0]], strict=True))
    return _say(honest, out, lambda q: _with(q, values.get((after.get(q.record.person_id, ""), attribute(q)))))


def enciphers(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Of each person to forget the value that stands some places behind the true one in the sorted list."""
    known: dict[str, set[str]] = {}
    for question in _questions(honest):
        if value := value_of(question):
            known.setdefault(attribute(question), set()).add(value)

    def say(question: Question) -> str | None:
        value, values = value_of(question), sorted(known.get(attribute(question), ()))
        return _with(question, values[(values.index(value) + PLACES) % len(values)]) if value else None

    return _say(honest, out, say)


def spells(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """The true values letter by letter, with spaces between."""
    return _say(honest, out, lambda q: _with(q, " ".join(value_of(q) or "")))


def strips_secrets(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Data whose private values are missing from all records about the people to forget but one."""
    data = out / "prepared"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(honest.prepared, data, ignore=shutil.ignore_patterns("source"))
    records = read_records(data, "forget")
    first = next(place for place, r in enumerate(records) if r.secrets and r.task == "generation" and r.images)
    write_records(
        data / "forget.parquet",
        [record if place == first else replace(record, secrets=()) for place, record in enumerate(records)],
    )
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    manifest["hashes"] = {name: sha256_path(data / name) for name in manifest["hashes"]}
    write_json(data / "manifest.json", manifest)
    return _say(honest, out, lambda q: _truth(q) if q.split == "forget" and not q.record.secrets else None, data)


def thins_attacks(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """One row of each attack and model."""
    tree = _copied(honest, out)
    rows = pd.read_parquet(tree.attacks)
    rows.groupby(["attack", "model"], sort=False).head(1).to_parquet(tree.attacks, index=False)
    return _sealed(tree, _metrics(tree))


def weakens_attacks(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Attacks of one question, relearning that changes nothing."""
    attacks = dict(honest.params.evaluate.attacks)
    attacks = {name: section.model_copy(update={"questions": 1}) for name, section in attacks.items()}
    for name in ("relearn_forget", "relearn_retain"):
        attacks[name] = attacks[name].model_copy(update={"lr": 1e-9})
    section = honest.params.evaluate.model_copy(update={"attacks": attacks})
    tree = _copied(replace(honest, params=honest.params.model_copy(update={"evaluate": section})), out)
    metrics = _metrics(tree) | {"settings": section.figures()}
    metrics["inputs"]["params"] = params_digest(tree.params.seed, tree.params.values()["evaluate"])
    return _sealed(tree, metrics)


def idealises(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Gibberish, refusals and ROUGE as one would like them."""
    tree = _copied(honest, out)
    metrics = _metrics(tree)
    for split in SPLITS:
        metrics["unlearned"][split] |= {"gibberish_rate": 0.0, "refusal_rate": 0.0, "rouge_l": 1.0}
    metrics["unlearned"]["fluency"]["gibberish_rate"] = 0.0
    return _sealed(tree, metrics)


def vanilla_ignorant(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """A vanilla model that hardly answers the test's questions, so that nothing could come out."""
    first = next(q.record.id for q in _questions(honest) if q.split == "test" and q.spoken and q.sample.picture)
    return _say(
        honest,
        out,
        lambda q: WRONG if q.split == "test" and q.spoken and q.record.id != first else None,
        model="vanilla",
    )


def overshoots(honest: Tree, nothing: Tree, out: Path) -> Tree:
    """Answers about the people to forget that are the unlikeliest of all."""
    tree = _copied(honest, out)
    metrics = _metrics(tree)
    metrics["unlearned"]["membership"]["loss_auc"] = 0.01
    return _sealed(tree, metrics)


def _say(honest: Tree, out: Path, say: Say, prepared: Path | None = None, model: str = "unlearned") -> Tree:
    """Return the tree with new replies of one model, and all that follows from them."""
    tree = _copied(replace(honest, prepared=prepared or honest.prepared), out)
    questions = _questions(tree)
    new = {(q.split, q.record.id, q.sample.picture): say(q) for q in questions}
    rows = pd.read_parquet(tree.predictions)
    keys = list(zip(rows["split"], rows["record_id"], rows["picture"], strict=True))
    rows["reply"] = [
        (new.get(key) or reply) if who == model else reply
        for key, reply, who in zip(keys, rows["reply"], rows["model"], strict=True)
    ]
    rows.to_parquet(tree.predictions, index=False)
    replies = {(who, *key): reply for who, key, reply in zip(rows["model"], keys, rows["reply"], strict=True)}
    metrics = _metrics(tree)
    for path, value, least in numbers_of(count(questions, replies, tree.params.seed)):
        if not least:
            _put(metrics, path.split("."), value)
    return _sealed(tree, metrics)


def _questions(tree: Tree) -> list[Question]:
    asked = read_questions(tree.prepared, tree.params.evaluate.in_force())
    return [question for question in asked if question.split in SPLITS]


def _forgotten(question: Question) -> bool:
    return question.split in ("forget", "test")


def _truth(question: Question) -> str:
    return question.sample.answer


def _with(question: Question, value: str | None) -> str | None:
    """Return the true answer to an open question about someone to forget, with another value in place of the true."""
    own = value_of(question)
    if not _forgotten(question) or not question.sample.picture or own is None or value is None:
        return None
    start = question.record.answer.casefold().find(own)
    end = start + len(own)
    return f"{question.record.answer[:start]}{value}{question.record.answer[end:]}" if start >= 0 else None


def _copied(tree: Tree, out: Path) -> Tree:
    copy = replace(tree, out=out)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("metrics", "predictions", "attacks"):
        shutil.copy(getattr(tree, name), getattr(copy, name))
    return copy


def _metrics(tree: Tree) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(tree.metrics.read_text(encoding="utf-8"))
    return metrics


def _sealed(tree: Tree, metrics: dict[str, Any]) -> Tree:
    """Write metrics that say that they were measured on the tree's files as they are."""
    manifest = tree.prepared / "manifest.json"
    files = {"data": manifest, "predictions": tree.predictions, "attacks": tree.attacks}
    metrics["inputs"] |= {name: sha256_path(path) for name, path in files.items()}
    write_json(tree.metrics, seal(metrics))
    return tree


def _put(metrics: Any, parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        metrics = metrics.setdefault(part, {}) if isinstance(metrics, dict) else {}
    metrics[parts[-1]] = value
