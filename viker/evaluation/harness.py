"""Benchmarks by name, of the vanilla and the unlearned model side by side, by EleutherAI's lm-evaluation-harness.

Source: Gao et al., "A framework for few-shot language model evaluation", https://zenodo.org/records/12608602. The
harness comes with the extra ``harness``. The model is loaded once; the vanilla one is it with its adapter off.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError, did_you_mean
from viker.evaluation.predictions import MODELS

BOOTSTRAP = 1000
"""Draws of the standard errors of metrics that have no formula for theirs."""
NOT_SCORES = ("alias", "name", "sample_len", "sample_count")


@dataclass(frozen=True)
class Asking:
    """How the harness asks.

    ``limit``: at most so many questions of each task, None: all. ``few_shot``: examples before each question, None: as
    each task has it. ``chat``: whether questions stand in the model's chat template. ``include``: a folder of tasks.
    """

    limit: int | None = None
    few_shot: int | None = None
    batch_size: int = 1
    chat: bool = True
    include: Path | None = None


def run_benchmarks(adapted: Any, processor: Any, tasks: Sequence[str], asking: Asking, seed: int) -> dict[str, Any]:
    """Return ``harness``, its version, and ``tasks``: by name ``version``, ``samples`` and ``scores``.

    A score is named METRIC,FILTER as in the harness, and has ``better``, higher or lower or None where the task doesn't
    say, ``vanilla`` and ``unlearned``, each with ``value`` and ``stderr`` or None, and ``difference``, unlearned less
    vanilla.

    Raises UserError: the harness isn't installed, it doesn't know a task, or a task's data can't be loaded.
    """
    try:
        import lm_eval
        from lm_eval.tasks import TaskManager

        from viker.evaluation.harness_model import SharedModel
    except ImportError as error:
        raise UserError(
            f"lm-evaluation-harness isn't there ({error}). Install it with: pip install 'viker[harness]'"
        ) from None
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=asking.include and str(asking.include))
    for task in tasks:
        if task not in manager.all_tasks:
            raise UserError(f"'{task}': lm-evaluation-harness has no such task{did_you_mean(task, manager.all_tasks)}")
    runs = {}
    for name in MODELS:
        with nullcontext() if name == "unlearned" else adapted.disable_adapter():
            try:
                runs[name] = lm_eval.simple_evaluate(
                    model=SharedModel(adapted, processor, asking.batch_size),
                    tasks=list(tasks),
                    num_fewshot=asking.few_shot,
                    limit=asking.limit,
                    apply_chat_template=asking.chat,
                    task_manager=manager,
                    bootstrap_iters=BOOTSTRAP,
                    log_samples=False,
                    random_seed=seed,
                    numpy_random_seed=seed,
                    torch_random_seed=seed,
                    fewshot_random_seed=seed,
                )
            except (OSError, NotImplementedError) as error:  # the hub's and the data sets' errors are OSErrors
                raise UserError(f"{', '.join(tasks)}: {' '.join(str(error).split())[:300]}") from None
    return {"harness": f"lm_eval {lm_eval.__version__}", "tasks": compared(runs["vanilla"], runs["unlearned"])}


def compared(vanilla: Mapping[str, Any], unlearned: Mapping[str, Any]) -> dict[str, Any]:
    """Return by task what two results of the harness say of the same questions, see ``run_benchmarks``."""
    return {
        task: {
            "version": unlearned["versions"].get(task),
            "samples": (unlearned["n-samples"].get(task) or {}).get("effective"),
            "scores": {
                score: _score(task, score, vanilla, unlearned)
                for score in numbers
                if "_stderr," not in score and score not in NOT_SCORES
            },
        }
        for task, numbers in unlearned["results"].items()
    }


def _score(task: str, score: str, *runs: Mapping[str, Any]) -> dict[str, Any]:
    metric, _, filtered = score.partition(",")
    higher = (runs[0]["higher_is_better"].get(task) or {}).get(metric)
    sides: dict[str, Any] = {}
    for name, run in zip(MODELS, runs, strict=True):
        error = run["results"][task].get(f"{metric}_stderr,{filtered}")
        value = float(run["results"][task][score])
        sides[name] = {"value": value, "stderr": float(error) if isinstance(error, float) else None}
    difference = sides["unlearned"]["value"] - sides["vanilla"]["value"]
    return {"better": None if higher is None else "higher" if higher else "lower"} | sides | {"difference": difference}


def lost(tasks: Mapping[str, Any], least: float) -> list[str]:
    """Return the scores, as TASK METRIC,FILTER, that are below ``least`` times vanilla's where higher is better.

    Where lower is better: above vanilla's divided by ``least``.
    """
    fallen = []
    for task, numbers in tasks.items():
        for name, score in numbers["scores"].items():
            before, now = score["vanilla"]["value"], score["unlearned"]["value"]
            worse = now * least > before if score["better"] == "lower" else now < least * before
            if score["better"] and worse:
                fallen.append(f"{task} {name}")
    return fallen
