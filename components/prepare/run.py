"""From a benchmark on disk to validated splits in one schema."""

from collections import Counter
from pathlib import Path
from typing import Any

from viker.core.files import new_folder, sha256_path, write_json
from viker.data.forget_list import read_asked
from viker.data.formats.registry import FORMATS, recognise
from viker.data.formats.base.intake import Intake
from viker.data.records import Record, write_records
from viker.data.settings import PrepareParams
from viker.data.sources import locate
from viker.data.synthetic.generate import generate
from viker.data.validation.data_docs import validate
from viker.data.validation.expectations import VERSION


def run(
    params: PrepareParams, seed: int, out: Path, validation: Path, cache: Path = Path("data/sources")
) -> dict[str, Any]:
    """Write the splits, pictures and manifest.json to ``out``, the Data Docs to ``validation``; return the manifest.

    ``cache`` keeps what is fetched of a source that isn't local.

    Raises:
        UserError: the source is missing or not in a known format, a request names nobody, or an expectation failed.
    """
    asked = read_asked(params)
    source = locate(params, cache)
    with new_folder(out) as folder:
        benchmark = source
        if source.suffix == ".yaml":
            benchmark = folder / "source"
            generate(source, benchmark, seed, params.forget_share)
        name = recognise(benchmark) if params.format == "auto" else params.format
        intake = Intake(folder, params.on_invalid, params.max_excluded)
        with asked.named():
            loaded = FORMATS[name].load(benchmark, params.forget_share, asked.people, asked.gone, intake)
        checks = validate(loaded, intake, validation)

        intake.close(folder / "excluded.parquet")
        for split, records in loaded.splits.items():
            write_records(folder / f"{split}.parquet", records)
        write_records(folder / "base.parquet", loaded.base)
        manifest = {
            "source": params.source,
            "revision": params.revision,
            "format": name,
            "seed": seed,
            "forget_ids": loaded.forget_ids,
            "requests": asked.carried_by(loaded.forget_ids),
            "gone": asked.gone,
            "counts": {split: count(records) for split, records in loaded.splits.items()},
            "excluded": dict(Counter(row["rule"] for row in intake.excluded)),
            "validation": {"version": VERSION, "suites": checks},
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
