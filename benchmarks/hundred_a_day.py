"""``python -m benchmarks.hundred_a_day``: what a night with 100 requests moves and computes at 7B, for docs/hundred.md.

Bytes: what each task of the compiled pipeline declares to read and write, times the size of these artifacts, which is
measured per row in the work tree of a finished demo and scaled to so many people. GPU hours: operations and bytes of
weights by the model's sizes, at a share of what the GPU's data sheet promises; no rate at 7B has been measured.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from ruamel.yaml import YAML

from components.contract.params import load_params
from pipelines.cli.plan import planned_model
from viker.generation.memory import MORE_REPLIES
from viker.training import memory
from viker.training.settings import UnlearnParams

WEIGHT_BYTES = 2
"""Of a parameter of the frozen model, bfloat16 or float16."""
IMAGE, PROMPT, ANSWER = 576, 40, 60
"""Tokens of a picture of LLaVA-1.5, of a question, and of the longest answer, as 'viker plan' has them."""
POINTER = 10_000
"""Bytes, at most, of a pointer to the deployed model, a page, or the JSON that a task around the stages writes."""
SMALL = (
    *("vanilla", "prepared_manifest", "closed", "ended", "page", "judged", "promoted", "purged", "nothing"),
    *("registered", "resolved"),
)
START, END = "<!-- python -m benchmarks.hundred_a_day -->\n", "<!-- end -->\n"


def artifact_bytes(work: Path, people: int, requests: int, picture: int, adapter: int) -> dict[str, float]:
    """Return the bytes of each artifact of a night, from a finished work tree, rows scaled by people."""
    counts = {name: pd.read_parquet(work / f"data/prepared/{name}.parquet") for name in ("forget", "test", "retain")}
    there = {name: table["person_id"].nunique() for name, table in counts.items()}
    scale = {"forget": requests / there["forget"], "test": requests / there["test"]}
    scale |= {"retain": (people - requests) / there["retain"], "real": 1.0, "unseen": 1.0}
    rows = sum(_size(work, f"data/prepared/{name}.parquet") * factor for name, factor in scale.items())
    pictures = len(pd.read_parquet(work / "data/prepared/pictures.parquet", columns=["hash"]))
    everybody = sum(pd.read_parquet(work / f"data/prepared/{name}.parquet")["person_id"].nunique() for name in scale)
    replies = pd.read_parquet(work / "evaluation/predictions.parquet", columns=["split"])["split"]
    share = sum(count * scale[str(split)] for split, count in replies.value_counts().items()) / len(replies)
    attacks = _size(work, "evaluation/attacks.parquet") * _attack_rows(work, scale["forget"])["grown"]
    predictions = _size(work, "evaluation/predictions.parquet") * share
    return {
        "pending": 121.0 * requests,
        "prepared": rows + picture * pictures / (everybody - there["test"]) * people,
        "validation": _size(work, "validation"),
        "irrelevant": _size(work, "data/irrelevant"),
        "start": adapter,
        "adapter": adapter,
        "unlearning": _size(work, "unlearning") * scale["forget"],
        "answers": predictions + attacks,
        "answers_vanilla": predictions + attacks,
        "predictions": predictions,
        "attacks": attacks,
        "metrics": _size(work, "metrics/evaluate.json"),
        "bundle": _size(work, "report/evidence.zip"),
        "evidence": _size(work, "report/report.html"),
    } | dict.fromkeys(SMALL, POINTER)


def moved(pipeline: Mapping[str, Any], sizes: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return for each task of a compiled pipeline the bytes of what it declares to read, and to write.

    Raises KeyError: an artifact of a size that is not known.
    """
    tasks = []
    for name, one in pipeline["components"].items():
        if "executorLabel" in one and not name.startswith("comp-refuse"):
            read, written = (
                sum(sizes[artifact] for artifact in one.get(f"{way}Definitions", {}).get("artifacts", {}))
                for way in ("input", "output")
            )
            tasks.append((name.removeprefix("comp-"), read, written))
    return tasks


def gpu_seconds(
    unlearn: UnlearnParams,
    sizes: memory.Sizes,
    questions: int,
    replies: float,
    batch: int,
    flops: float,
    bandwidth: float,
) -> dict[str, float]:
    """Return the seconds of unlearn and of asking one model, at rates of ``flops`` and ``bandwidth`` bytes a second.

    A token takes 2 operations for each parameter forwards, and as many backwards, as the weights are frozen (Kaplan et
    al. 2020, arXiv 2001.08361, without the gradients of weights). What is written takes the weights once per token and
    batch. Likelihoods and the attacks' own trainings are not counted.
    """
    token = 2.0 * sizes.parameters
    sequence = IMAGE + PROMPT + ANSWER
    steps = math.ceil(questions / unlearn.batch_size) * unlearn.epochs
    compared = memory.retained(unlearn) + unlearn.retain_batch_size * unlearn.holds
    passes = steps * (2 * sum(memory.batches(unlearn)) + compared) + questions
    weights = WEIGHT_BYTES * sizes.parameters
    asking = replies * (IMAGE + PROMPT) * token / flops + replies / batch * ANSWER * weights / bandwidth
    return {"unlearn": passes * sequence * token / flops, "ask": asking}


def main(
    work: Annotated[Path, typer.Option(help="A work tree after 'make demo'.")] = Path(),
    requests: Annotated[int, typer.Option(help="People a night.")] = 100,
    people: Annotated[int, typer.Option(help="People in the data.")] = 10_000,
    picture: Annotated[int, typer.Option(help="Bytes of a picture.")] = 60_000,
    params: Annotated[Path, typer.Option(help="With the profile llava-1.5-7b.")] = Path("params.yaml"),
    share: Annotated[float, typer.Option(help="Of the GPU's promised rates.")] = 0.4,
    peak: Annotated[float, typer.Option(help="Operations a second; an A100's in bfloat16.")] = 312e12,
    bandwidth: Annotated[float, typer.Option(help="Bytes a second; an A100's with 80 GB.")] = 2.039e12,
    page: Annotated[Path, typer.Option(help="Where the tables go, between marks.")] = Path("docs/hundred.md"),
) -> None:
    """Compute the tables and write them into the page."""
    settings = load_params(params)
    unlearn = settings.unlearn.model_copy(update={"start_from": "champion"})
    sizes = memory.sizes_of(planned_model(settings)[1])
    sized = artifact_bytes(work, people, requests, picture, memory.adapter_bytes(sizes, unlearn))
    with Path("deploy/pipeline.yaml").open(encoding="utf-8") as stream:
        tasks = moved(next(iter(YAML(typ="safe", pure=True).load_all(stream))), sized)
    weights = WEIGHT_BYTES * sizes.parameters
    lines = ["| task | reads, MB | writes, MB | weights from the volume, MB |", "|---|---|---|---|"]
    for name, read, written in tasks:
        loaded = weights if name in ("unlearn", "ask-vanilla", "evaluate") else 0
        lines.append(f"| {name} | {read / 1e6:,.1f} | {written / 1e6:,.1f} | {loaded / 1e6:,.0f} |")
    total = [sum(column) / 1e6 for column in zip(*(one[1:] for one in tasks), strict=True)]
    lines.append(f"| all | {total[0]:,.1f} | {total[1]:,.1f} | {3 * weights / 1e6:,.0f} |")

    forget = pd.read_parquet(work / "data/prepared/forget.parquet")
    trained = forget[(forget["task"] == "qa") & (unlearn.text_questions | (forget["modality"] == "image_text"))]
    grown = requests / forget["person_id"].nunique()
    questions, rows = round(len(trained) * grown), _attack_rows(work, grown)
    plain = sized["predictions"] / _size(work, "evaluation/predictions.parquet")
    asked = plain * len(pd.read_parquet(work / "evaluation/predictions.parquet", columns=["split"])) / 2 + rows["rows"]
    batch = MORE_REPLIES * settings.evaluate.batch_size
    took = gpu_seconds(unlearn, sizes, questions, asked, batch, share * peak, share * bandwidth)
    lines += ["", "| on a GPU | what | hours |", "|---|---|---|"]
    lines.append(f"| unlearn | {questions:,} questions, {unlearn.epochs} epoch | {took['unlearn'] / 3600:.1f} |")
    lines += [f"| {name} | {asked:,.0f} replies | {took['ask'] / 3600:.1f} |" for name in ("ask-vanilla", "evaluate")]
    hours = (took["unlearn"] + 2 * took["ask"]) / 3600
    lines.append(f"| all | {requests} requests: {3600 * hours / requests:.0f} s each | {hours:.1f} |")
    text = page.read_text(encoding="utf-8")
    before, after = text.partition(START)[0], text.partition(END)[2]
    page.write_text(f"{before}{START}\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def _size(work: Path, name: str) -> float:
    path = work / name
    files = [path] if path.is_file() else path.rglob("*")
    return float(sum(file.stat().st_size for file in files if file.is_file()))


def _attack_rows(work: Path, scale: float) -> dict[str, float]:
    """Return the replies under attack of one model, 200 questions an attack at most, and how much more that is."""
    table = pd.read_parquet(work / "evaluation/attacks.parquet", columns=["model", "attack", "record_id"])
    rows = 0.0
    for _, part in table[table["model"] == "unlearned"].groupby("attack"):
        asked = part["record_id"].nunique()
        rows += len(part) / asked * min(200, asked * scale)
    return {"rows": rows, "grown": rows / (len(table) / 2)}


if __name__ == "__main__":
    typer.run(main)
