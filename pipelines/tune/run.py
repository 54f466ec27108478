"""A tuning under way: trials, then the finalists before the gate, then what is written and said."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console

from components.contract.params import Params, load_params
from pipelines.cli.profile import round_trip
from pipelines.sweep.command import sweep_key
from pipelines.sweep.plan import Combination, Stage, combinations, content, reached, read_stages
from pipelines.sweep.run import Sweep
from pipelines.tune.results import write_results
from pipelines.tune.study import (
    Trial,
    frontier,
    open_study,
    pruned_at,
    ranked,
    read_probes,
    store,
    suggest,
    trials,
)
from pipelines.tune.verdicts import Finalist, chosen, finalist, next_finalist, unmet
from viker import tracking
from viker.core.errors import UserError
from viker.core.files import finite_json, read_json, sha256_json, write_json
from viker.core.manifest import read_manifest
from viker.gate.knowledge import SPLITS, not_known
from viker.gate.reachable import unreachable
from viker.tracking.identity import settings

INPUTS = ("data/prepared", "models/vanilla", "data/irrelevant")
"""What the vanilla model is asked with."""
PROBES = "work/probes.jsonl"
"""In the folder of a trial's unlearn."""


class Tuning:
    """A study of one work tree: its trials, and the finalists."""

    def __init__(self, params: Path, base: Params, console: Console) -> None:
        """Check that the search can begin. Raises UserError: a key or an output of an earlier stage is missing."""
        self.params, self.base, self.console = params, base, console
        self.root, self.space = params.resolve().parent, base.tune.space
        combinations(params, {key: [_value(base.values(), key)] for key in self.space}, "tune.space")  # checks the keys
        self.current = {key: _value(base.values(), key) for key in self.space}
        self.stages = [_probing(stage) for stage in read_stages(self.root)]
        searched = reached(self.stages, list(self.space))
        _need(self.root, [stage for stage in self.stages if stage not in searched], base)
        outs = {out for stage in searched for out in stage.outs}
        inputs = {dep: content(str(self.root / dep)) for one in searched for dep in one.deps if dep not in outs}
        others = sweep_key(settings(base.values()), list(self.space))
        self.key = sha256_json(["tune", others, base.tune.model_dump(mode="json"), inputs])
        self.folder = self.root / "work/tune" / self.key[:8]
        self.study = open_study(self.root / "work/tune/study.db", self.key)

    def run(self, count: int) -> dict[str, Any]:
        """Make the trials that are missing, judge the finalists, write the results, and return them."""
        self._need_knowledge()
        values = self.base.values()
        with tracking.Stage("tune", values, self.params, live=True, sweep=self.key) as run:
            run.tags({f"tune.{key}": one for key, one in values["tune"]["space"].items()})
            for trial in trials(self.study)[:count]:
                self._say(trial, count, "  (done before)")
            while len(finished := trials(self.study)) < count:
                trial = self._trial(len(finished), finished)
                store(self.study, self.space, self.base.tune.forgotten, trial)
                self._say(trial, count)
            finalists = list(self._finalists(finished[:count]))
            found: dict[str, Any] = {"trials": finished[:count], "finalists": finalists, "folder": self.folder}
            found["unmet"] = [] if chosen(finalists) else unmet(finalists)
            found["cost"] = _cost(finished[:count], finalists)
            write_results(self.folder, found)
            for file in sorted(path for path in self.folder.iterdir() if path.name != ".lock"):
                run.artifact(file)
            run.metrics({"trials": len(found["trials"]), "passed": sum(one.passed for one in finalists)})
        return found

    def _need_knowledge(self) -> None:
        """Ask the vanilla model about the people to forget, once, in a process that gives its memory back.

        Raises UserError: it knows too little of them for any trial to pass.
        """
        kept = self.folder / "vanilla.json"
        if not kept.exists():
            self._print("asking the vanilla model what it knows of the people to forget")
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                asked = pool.submit(_ask_vanilla, self.params, *(self.root / place for place in INPUTS))
                write_json(kept, finite_json(asked.result()))
        if problems := not_known(self.base.gate, read_json(kept, "tune")):
            raise UserError(
                "No trial could pass the gate: the vanilla model knows too little of the people to forget. "
                f"{' '.join(problems)} Name the model that is deployed in finetune.deployed_model, train the vanilla "
                "model longer (finetune.memorise_epochs), or name another policy in gate.policy."
            )

    def _combination(self, values: Mapping[str, Any]) -> Combination:
        return combinations(self.params, {key: [value] for key, value in values.items()}, "tune")[0]

    def _trial(self, number: int, finished: list[Trial]) -> Trial:
        values = suggest(self.study, self.space, self.base.seed, self.current)
        combination = self._combination(values)
        epochs = combination.params["unlearn"]["epochs"]

        def outdone(folder: Path) -> bool:
            return pruned_at(read_probes(folder / PROBES), epochs, finished) is not None

        began = time.monotonic()
        sweep = Sweep(self.root, self.key, self.stages, "tune", outdone)
        result = sweep.run([combination], 1, last="unlearn")[0]
        probes = read_probes(result["folders"]["unlearn"] / PROBES)
        pruned = pruned_at(probes, epochs, finished)
        probing = sum(probe.seconds for probe in probes)
        seconds = result["seconds"].get("unlearn", time.monotonic() - began)
        last = pruned or (probes[-1] if probes else None)
        state = "pruned" if pruned else "failed" if "error" in result or last is None else "complete"
        error = result.get("error", "") if state == "failed" else ""
        return Trial(number, values, state, last, seconds, probing, error)

    def _finalists(self, finished: list[Trial]) -> Iterator[Finalist]:
        order, judged = ranked(finished, self.base.tune.forgotten), list[Finalist]()
        while len(judged) < self.base.tune.finalists and (trial := next_finalist(order, judged)) is not None:
            combination = self._combination(trial.values)
            result = Sweep(self.root, self.key, self.stages, "tune").run([combination], 1)[0]
            if "error" in result:
                raise UserError(f"trial {trial.number + 1}, {combination.name}: {result['error']}")
            judged.append(one := finalist(trial, result))
            kept = "–" if one.kept is None else f"{one.kept:.3f}"
            outcome = "gate passed" if one.passed else f"gate failed, {len(one.failed)} rules not met"
            self._print(f"trial {trial.number + 1} evaluated: {outcome}; retain accuracy {kept}")
            yield one

    def _say(self, trial: Trial, count: int, more: str = "") -> None:
        name = self._combination(trial.values).name
        outcome = trial.error or "no probe"
        if trial.probe is not None and not trial.error:
            outcome = f"private values {trial.probe.forget:.2g}, divergence on retain {trial.probe.retain:.2g}"
            outcome += "" if trial.probe.sound else ", answers fall apart"
        state = f" pruned after epoch {trial.probe.epoch}," if trial.state == "pruned" and trial.probe else ""
        self._print(f"trial {trial.number + 1} of {count}  {name}:{state} {outcome}, {trial.seconds:.0f} s{more}")

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def show(self, found: Mapping[str, Any], best: Finalist | None, lines: str, applied: bool) -> None:
        """Print what was found, or which rules were not met, and what it cost."""
        if best is not None:
            kept = f"{best.kept:.3f} of vanilla's {best.vanilla:.3f}" if best.kept is not None and best.vanilla else "–"
            self._print(f"trial {best.trial.number + 1} passes the gate and keeps most: retain accuracy {kept}")
            if not applied:
                self._print("its values, for params.yaml ('viker tune --apply' writes them there):\n")
                self._print(lines)
        elif not found["finalists"]:
            self._print("no trial was trained to the end: nothing to judge. See the errors above.")
        else:
            everywhere = found["unmet"][0]["by_all"]
            about = "no finalist meets" if everywhere else "each rule is met by a finalist, none meets all; nearest is"
            self._print(f"no finalist passes the gate: {about}")
            for rule in found["unmet"]:
                missed = "" if rule["missed"] is None else f" Missed by {rule['missed']:.3g}."
                self._print(f"✗ {rule['reason']}{missed}\n  Protects from: {rule['protects']}")
            for one in (one for one in found["finalists"] if one.floored[0]):
                values = "{} of {} private values".format(*one.floored)
                self._print(f"trial {one.trial.number + 1}: {values} can't be forgotten with its lambda and teacher")
        cost = found["cost"]
        parts = ", ".join(f"{name} {cost['seconds'][name]:.0f} s" for name in cost["seconds"])
        self._print(f"{cost['trials']} trials, {cost['pruned']} pruned, {cost['failed']} failed; {parts}")
        self._print(f"table, frontier and page: {found['folder']}/trials.csv, frontier.png, tune.html")


def _ask_vanilla(params: Path, prepared: Path, vanilla: Path, irrelevant: Path) -> dict[str, Any]:
    """Return what the vanilla model knows; in a process of its own, so that the study holds no model libraries."""
    from components.evaluate.run import Inputs, vanilla_metrics

    base, inputs = load_params(params), Inputs(prepared, vanilla, irrelevant, adapter=None)
    return vanilla_metrics(base.evaluate, base.seed, base.threads, inputs, SPLITS)


def _probing(stage: Stage) -> Stage:
    return replace(stage, command=f"{stage.command} --probes {PROBES}") if stage.name == "unlearn" else stage


def _need(root: Path, shared: list[Stage], params: Params) -> None:
    """Check what is there before the search.

    Raises UserError: an output of the stages before unlearn is missing, or was made with another seed, or the policy
    judges what the prepared data don't ask, so that no trial could pass.
    """
    for stage in shared:
        for out in stage.outs:
            if not (root / out).exists():
                raise UserError(f"{root / out}: missing. Run 'viker {stage.name}' first, or 'viker repro'.")
    prepared = root / "data/prepared"
    seed = read_manifest(prepared)["seed"]
    if seed != params.seed:
        raise UserError(f"{prepared} has the seed {seed}, params.yaml has {params.seed}. Run 'viker repro' first.")
    if problems := unreachable(params.gate, prepared, params.evaluate.in_force()):
        raise UserError(f"No trial could pass the gate: {' '.join(problems)}")


def _value(values: Any, key: str) -> Any:
    """Return the value of a dotted key; None where it isn't there."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as params.yaml has them."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *above, last = key.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def lines_of(values: Mapping[str, Any]) -> str:
    """Return values by dotted key as lines of params.yaml."""
    stream = StringIO()
    round_trip().dump(nested(values), stream)
    return stream.getvalue()


def _cost(finished: list[Trial], finalists: list[Finalist]) -> dict[str, Any]:
    states = [trial.state for trial in finished]
    seconds = {
        "training": sum(trial.seconds - trial.probing for trial in finished),
        "probes": sum(trial.probing for trial in finished),
        "evaluate": sum(one.seconds["evaluate"] for one in finalists),
        "gate": sum(one.seconds["gate"] for one in finalists),
    }
    return {"trials": len(finished), "pruned": states.count("pruned"), "failed": states.count("failed")} | {
        "finalists": len(finalists),
        "seconds": seconds,
    }


def as_json_values(found: Mapping[str, Any], best: Finalist | None, lines: str) -> dict[str, Any]:
    """Return what ``Tuning.run`` found as JSON values."""
    front = {trial.number for trial in frontier(found["trials"])}
    return {
        "chosen": best and {"trial": best.trial.number + 1, "values": best.trial.values, "params": lines},
        "trials": [asdict(trial) | {"frontier": trial.number in front} for trial in found["trials"]],
        "finalists": [
            {"trial": one.trial.number + 1, "verdict": one.verdict["verdict"], "retain": one.kept}
            | {"failed": [rule["rule"] for rule in one.failed]}
            for one in found["finalists"]
        ],
        "unmet": found["unmet"],
        "cost": found["cost"],
        "folder": str(found["folder"]),
    }
