"""The vanilla model, trained on the prepared data, or a pointer to a deployed one."""

from pathlib import Path
from typing import Any

from viker.core.files import new_folder, write_json
from viker.data.records import read_pictures, read_records
from viker.finetuning.settings import FinetuneParams
from viker.finetuning.vanilla import check_deployed, train_vanilla
from viker.models.base_model import DEPLOYED
from viker.models.loading import seed_everything


def run(params: FinetuneParams, seed: int, threads: int, prepared: Path, out: Path) -> dict[str, Any]:
    """Write the vanilla model to ``out``; return its size, and losses and steps where it was trained.

    Raises:
        UserError: the prepared data is missing, a record is longer than the model's context, or the deployed model
            can't be loaded.
    """
    seed_everything(seed, threads)
    if params.deployed_model is not None:
        summary = check_deployed(params.deployed_model)
        with new_folder(out) as folder:
            write_json(folder / DEPLOYED, {"model": params.deployed_model})
        return summary

    model, processor, summary = train_vanilla(
        params,
        seed,
        base=read_records(prepared, "base"),
        people=[record for split in ("forget", "retain", "real") for record in read_records(prepared, split)],
        pictures=read_pictures(prepared),
        base_pictures=read_pictures(prepared, "base_pictures"),
        source=str(prepared),
    )
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return summary
