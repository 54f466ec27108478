"""From a benchmark on disk to validated splits in one schema."""

from collections import Counter
from pathlib import Path
from typing import Any

from components.common.errors import UserError
from components.common.files import new_folder, sha256_path, write_json
from components.common.params import PrepareParams
from components.common.records import Record, write_pictures, write_records
from components.prepare.generate import generate
from components.prepare.mllmu import load
from components.prepare.validate import validate


def run(params: PrepareParams, seed: int, out: Path, validation: Path) -> dict[str, Any]:
    """Write the splits, pictures and manifest.json to ``out``, the Data Docs to ``validation``; return the manifest.

    Raises:
        UserError: the source is missing or not in MLLMU-Bench's format, or an expectation failed.
    """
    source = Path(params.source)
    if not source.exists():
        raise UserError(
            f"prepare.source is '{source}': no such file or folder. Expected a folder in MLLMU-Bench's format, "
            "or a .yaml file that describes a benchmark to generate."
        )
    with new_folder(out) as folder:
        benchmark = source
        if source.suffix == ".yaml":
            benchmark = folder / "source"
            generate(source, benchmark, seed, params.forget_share)
        loaded = load(benchmark, params.forget_share, params.forget_ids)
        validate(loaded, validation)

        for split, records in loaded.splits.items():
            write_records(folder / f"{split}.parquet", records)
        write_records(folder / "base.parquet", loaded.base)
        write_pictures(folder / "pictures.parquet", loaded.pictures)
        write_pictures(folder / "base_pictures.parquet", loaded.base_pictures)
        manifest = {
            "source": params.source,
            "format": "MLLMU-Bench",
            "seed": seed,
            "forget_ids": loaded.forget_ids,
            "counts": {split: count(records) for split, records in loaded.splits.items()},
            "hashes": {path.name: sha256_path(path) for path in sorted(folder.glob("*.parquet"))},
        }
        write_json(folder / "manifest.json", manifest)
    return manifest


def count(records: list[Record]) -> dict[str, Any]:
    """Return how many people, pictures and records a split has, and records by task."""
    return {
        "people": len({record.person_id for record in records}),
        "pictures": len({image for record in records for image in record.images}),
        "records": len(records),
        "tasks": dict(Counter(record.task for record in records)),
    }
