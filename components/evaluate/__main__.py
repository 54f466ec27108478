"""``python -m components.evaluate``: question the vanilla and the unlearned model."""

from pathlib import Path
from typing import Annotated

import typer

from components.params import load_params
from viker import tracking
from viker.core import console
from viker.core.console import ParamsOption, stage_app


def command(
    params: ParamsOption = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(help="The prepared data.")] = Path("data/prepared"),
    vanilla: Annotated[Path, typer.Option(help="The model that knows the people.")] = Path("models/vanilla"),
    adapter: Annotated[Path, typer.Option(help="The adapter that forgets.")] = Path("models/adapter"),
    irrelevant: Annotated[Path, typer.Option(help="The irrelevant images.")] = Path("data/irrelevant"),
    predictions: Annotated[Path, typer.Option(help="Every reply.")] = Path("evaluation/predictions.parquet"),
    attacks: Annotated[Path, typer.Option(help="Every reply under attack.")] = Path("evaluation/attacks.parquet"),
    metrics: Annotated[Path, typer.Option(help="The metrics.")] = Path("metrics/evaluate.json"),
    work: Annotated[Path, typer.Option(help="Keeps replies until the run is over.")] = Path("work/evaluate"),
) -> None:
    """Question and attack both models: leakage, the benchmarks' scores, fluency, before and after unlearning.

    A run that is killed goes on where it stopped when it is started again.
    """
    settings = load_params(params)
    from components.evaluate.run import run

    with tracking.stage("evaluate", settings, params) as recorded:
        recorded.params({"evaluate": settings.evaluate.model_dump(mode="json"), "seed": settings.seed})
        recorded.data(prepared)
        found = run(
            settings.evaluate,
            settings.seed,
            settings.threads,
            prepared,
            vanilla,
            adapter,
            irrelevant,
            predictions,
            attacks,
            metrics,
            work,
        )
        recorded.metrics({model: found[model] for model in ("vanilla", "unlearned")})
        recorded.metrics(tracking.main_metrics(found), run=tracking.PIPELINE)
        recorded.artifact(metrics)
    for name in ("vanilla", "unlearned"):
        rates = ", ".join(f"{split} {found[name][split]['leakage_rate']}" for split in ("forget", "test", "retain"))
        typer.echo(f"{name}: leakage {rates}")


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
