"""The vanilla model, trained on the prepared data, or a pointer to a deployed one."""

from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_file, need_folder, new_folder, write_json
from viker.core.manifest import read_manifest
from viker.data.records import read_pictures, read_records
from viker.finetuning.settings import FinetuneParams
from viker.finetuning.trained_on import SPLITS, check_trained_on, write_trained_on
from viker.finetuning.vanilla import check_deployed, train_vanilla
from viker.models.base_model import DEPLOYED, base_digest
from viker.models.loading import seed_everything


def run(params: FinetuneParams, seed: int, threads: int, prepared: Path, out: Path) -> dict[str, Any]:
    """Write the vanilla model to ``out``; return its size, and losses and steps where it was trained.

    Raises:
        UserError: the prepared data is missing, a record is longer than the model's context, or the deployed model
            can't be loaded or says that it was trained on other people, or data that were generated have no base set.
    """
    need_file(need_folder(prepared, "prepare") / "manifest.json", "prepare")
    seed_everything(seed, threads)
    if params.deployed_model is not None:
        check_trained_on(Path(params.deployed_model), prepared, "finetune.deployed_model")
        summary = check_deployed(params.deployed_model)
        digest = base_digest(params.deployed_model, "finetune.deployed_model")
        with new_folder(out) as folder:
            write_json(folder / DEPLOYED, {"model": params.deployed_model, "digest": digest})
        return summary

    base = read_records(prepared, "base")
    if not base and (source := str(read_manifest(prepared)["source"])).endswith(".yaml"):
        raise UserError(
            f"{prepared}: generated from {source} without the samples about nobody from which a model that is trained "
            "from scratch learns to see. Set prepare.base_set to true, and prepare again."
        )
    people = [record for split in SPLITS for record in read_records(prepared, split)]
    model, processor, summary = train_vanilla(
        params,
        seed,
        base=base,
        people=people,
        pictures=read_pictures(prepared),
        base_pictures=read_pictures(prepared, "base_pictures"),
        source=str(prepared),
    )
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        recipe = {"seed": seed, "threads": threads, "finetune": params.model_dump(mode="json")}
        write_trained_on(folder, prepared, people, recipe)
    return summary
