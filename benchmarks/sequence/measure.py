"""Two requests, carried out by the stages themselves, and the questions that show who is forgotten."""

from pathlib import Path
from typing import Any

import pandas as pd
from peft import PeftModel

from components.contract.params import Params
from components.prepare.run import run as prepare
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from viker.data.irrelevant.assignment import read_irrelevant
from viker.data.records import Record, read_pictures, read_records
from viker.evaluation.predictions import predict
from viker.evaluation.questions import Question, build_questions
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything

DAY, DEADLINE = "2026-11-24", "2026-12-24"
DONE = f"carried_out: {{date: {DAY}, version: 1}}\n"


def measure_sequence(params: Params, vanilla: Path, work: Path) -> list[dict[str, Any]]:
    """Return one row per model: who is still known after which request.

    The people that the demo forgets are split into two requests. ``work`` keeps data and adapters.
    """
    people = _prepare(params, [], [], work / "demo")
    first, second = people[: len(people) // 2], people[len(people) // 2 :]
    _prepare(params, first, [], work / "1")
    _prepare(params, second, first, work / "2")
    one, two, alone = (work / name for name in ("1/adapter", "2/adapter", "2/from_vanilla"))
    _unlearn(params, vanilla, work / "1", one)
    _unlearn(params, vanilla, work / "2", two, start_from=one)
    _unlearn(params, vanilla, work / "2", alone)
    models = {
        "vanilla": None,
        "after the first": one,
        "after the second, from the first one's adapter": two,
        "the second alone, from the vanilla model": alone,
    }
    study = _Questions(params, vanilla, work)
    return [{"model": name} | study.figures(adapter or one, adapter is None) for name, adapter in models.items()]


def _prepare(params: Params, people: list[str], gone: list[str], folder: Path) -> list[str]:
    """Prepare the demo's data with one request pending and one carried out; return the people to forget."""
    requests = folder / "requests"
    requests.mkdir(parents=True, exist_ok=True)
    for name, who, end in (("pending", people, ""), ("done", gone, DONE)):
        if who:
            (requests / f"{name}.yaml").write_text(_request(name, who) + end, encoding="utf-8")
    if not (folder / "prepared").exists():
        section = params.prepare.model_copy(update={"requests": str(requests)})
        prepare(section, params.seed, folder / "prepared", folder / "validation")
        sample(params.sample, params.seed, folder / "prepared", folder / "irrelevant")
    return sorted({record.person_id for record in read_records(folder / "prepared", "forget")})


def _unlearn(params: Params, vanilla: Path, folder: Path, out: Path, start_from: Path | None = None) -> None:
    if out.exists():
        return
    section = params.unlearn.model_copy(update={"start_from": start_from and str(start_from)})
    inputs = (folder / "prepared", vanilla, folder / "irrelevant")
    places = (out, folder / f"{out.name}.records", folder / f"{out.name}.state")
    unlearn(section, params.seed, params.threads, Arguments(*inputs, *places))


class _Questions:
    """The open questions about pictures of the people of both requests and of everyone else."""

    def __init__(self, params: Params, vanilla: Path, work: Path) -> None:
        """Read the data of both requests."""
        self.params, self.vanilla = params, vanilla
        self.irrelevant, _ = read_irrelevant(work / "1/irrelevant")
        self.pictures = read_pictures(work / "1/prepared") | read_pictures(work / "2/prepared")
        self.asked: dict[str, list[Question]] = {}
        for number, name in (("1", "first"), ("2", "second")):
            records = {split: read_records(work / number / "prepared", split) for split in ("forget", "test", "retain")}
            self.asked[f"{name}, leakage"] = self._open(records, "forget")
            self.asked[f"{name}, other pictures"] = self._open(records, "test")
            self.asked["retain accuracy"] = self._open(
                records, "retain"
            )  # the second's: without the first one's people

    def _open(self, records: dict[str, list[Record]], split: str) -> list[Question]:
        asked = build_questions(records, self.params.evaluate.in_force())
        return [q for q in asked if q.split == split and q.record.task == "generation" and q.sample.picture]

    def figures(self, adapter: Path, off: bool) -> dict[str, float]:
        """Return the share of replies that hold the value asked for, group by group; ``off``: without the adapter."""
        seed_everything(self.params.seed, self.params.threads)
        model, processor = load_model(str(self.vanilla), "the benchmark's model")
        encoder = Encoder(processor, self.pictures | self.irrelevant, device())
        adapted = PeftModel.from_pretrained(model, adapter).eval()
        everyone = [question for group in self.asked.values() for question in group]
        found = predict(adapted, encoder, everyone, next(iter(self.irrelevant)), self.params.evaluate)
        rows: pd.DataFrame = found["vanilla" if off else "unlearned"]
        figures, start = {}, 0
        for name, group in self.asked.items():
            figures[name] = float(rows["leaked"].iloc[start : start + len(group)].dropna().astype(float).mean())
            start += len(group)
        return figures | {"gibberish": float(rows["gibberish"].astype(float).mean())}


def _request(name: str, people: list[str]) -> str:
    return f"id: {name}\ndate: {DAY}\npeople: {people}\nreason: erasure\ndeadline: {DEADLINE}\n"
