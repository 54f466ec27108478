"""``python -m benchmarks.annotations``: does a token's score say that it is part of a private value?"""

import random
from pathlib import Path
from typing import Annotated

import typer

from components.contract.params import load_params
from viker.core import console
from viker.core.console import ParamsOption, stage_app

RECIPE = {"deployed_model": None, "base_steps": 300, "memorise_epochs": 12}
"""Changes to the section finetune: a small model that has read the authors, in minutes."""
EPOCHS, BATCH = 40, 32
"""In which it then learns the marked answers by heart, with their pictures."""


def command(
    params: ParamsOption = Path("params.yaml"),
    text: Annotated[Path, typer.Option(help="The folder with TOFU's text.")] = Path("../shared/data/tofu"),
    work: Annotated[Path, typer.Option(help="Data and model; what is there is used again.")] = Path("work/annotations"),
    out: Annotated[Path, typer.Option(help="The tables, Markdown.")] = Path("docs/tofu/table.md"),
) -> None:
    """Compare scores and marks of key tokens with the private values that were marked by hand in TOFU's answers.

    A small model is trained on the authors with marked answers, each with a real face; its teacher sees photographs.
    """
    settings = load_params(params)
    from benchmarks.annotations.measure import token_rows, write_tables
    from benchmarks.annotations.spans import only_marked, read_spans, spans_of
    from benchmarks.tofu.convert import convert
    from components.finetune.run import run as finetune
    from components.prepare.run import run as prepare
    from components.sample.run import run as sample
    from viker.data.irrelevant.assignment import read_irrelevant
    from viker.data.records import read_pictures, read_records
    from viker.data.samples import sample_of
    from viker.finetuning.train import train
    from viker.models.encoder import Encoder
    from viker.models.loading import device, load_model, seed_everything

    prepared, irrelevant, vanilla = (work / name for name in ("prepared", "irrelevant", "vanilla"))
    if not prepared.exists():
        only_marked(text, work / "text")
        convert(work / "text", work / "tofu", 0.2, settings.seed)
        source = {"source": str(work / "tofu"), "requests": str(work / "none"), "forget_share": 0.2}
        prepare(settings.prepare.model_copy(update=source), settings.seed, prepared, work / "validation")
    if not irrelevant.exists():
        section = settings.sample.model_copy(update={"kinds": ["photo"]})
        sample(section, settings.seed, prepared, irrelevant)
    if not vanilla.exists():
        section = settings.finetune.model_copy(update=RECIPE)
        finetune(section, settings.seed, settings.threads, prepared, vanilla)

    marked = read_spans(text)
    everyone = [record for split in ("forget", "retain") for record in read_records(prepared, split)]
    read = [r for r in everyone if r.task == "qa" and r.images and spans_of(r, marked) is not None]
    pictures, _ = read_irrelevant(irrelevant)
    model, processor = load_model(str(vanilla), "the vanilla model")
    encoder = Encoder(processor, read_pictures(prepared) | pictures, device())
    images = [sorted(pictures)] * len(read)
    measured = {"A model that half knows the answers": token_rows(model.eval(), encoder, read, images, marked)}
    samples, rng = [sample_of(record) for record in read], random.Random(settings.seed)
    orders = [rng.sample(samples, len(samples)) for _ in range(EPOCHS)]
    batches = [order[i : i + BATCH] for order in orders for i in range(0, len(order), BATCH)]
    seed_everything(settings.seed, settings.threads)
    train(model, encoder, iter(batches), len(batches), settings.finetune.memorise_lr, "learning by heart")
    measured["The same model, knowing them by heart"] = token_rows(model.eval(), encoder, read, images, marked)
    typer.echo(write_tables(measured, out))


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
