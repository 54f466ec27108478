"""From a source on disk or elsewhere to records, and from records to the prepared folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import sha256_path, write_json
from viker.core.pseudonyms import People
from viker.data.forget_list import ForgetList, read_forget_list
from viker.data.formats.base.format import also_on_hub, formats, recognise
from viker.data.formats.base.intake import Benchmark, Intake
from viker.data.pictures.cache import FingerprintCache
from viker.data.records import Record, write_records
from viker.data.settings import PrepareParams
from viker.data.synthetic.generate import generate
from viker.data.validation.expectations import VERSION
from viker.storage import fetch, is_remote
from viker.storage.hub import NotOnHub


@dataclass(frozen=True)
class Loaded:
    """A source as records, not yet validated."""

    benchmark: Benchmark
    intake: Intake
    format: str
    forget_list: ForgetList


def load_source(
    params: PrepareParams, seed: int, folder: Path, cache: Path, fingerprints: FingerprintCache | None = None
) -> Loaded:
    """Read, fetch or generate the source; its pictures are written to ``folder`` as they are read.

    ``seed`` is that of a generated benchmark; ``cache`` keeps what is fetched of a source that isn't local;
    ``fingerprints`` of pictures are known from another run.

    Raises UserError: the source is missing or not in a known format, or a request names nobody in it.
    """
    forget_list = read_forget_list(params, cache)
    if not is_remote(params.source) and not Path(params.source).exists():
        raise UserError(
            f"prepare.source is '{params.source}': no such file or folder. Expected a file or folder, "
            "s3://BUCKET/PREFIX, hf://OWNER/NAME, or a .yaml file that describes a benchmark to generate."
        )
    try:
        source = fetch(params.source, params.revision, cache)
    except UserError as error:
        also = also_on_hub(params.source) if isinstance(error, NotOnHub) else ""
        raise UserError(f"prepare.source: {error}{also}") from None
    if source.suffix == ".yaml":
        description, source = source, folder / "source"
        generate(description, source, seed, params.forget_share, params.base_set)
    name = recognise(source) if params.format == "auto" else params.format
    intake = Intake(folder, params.on_invalid, params.max_excluded, fingerprints)
    with forget_list.naming_requests():
        gone = People(forget_list.gone)
        benchmark = formats()[name].load(source, params.forget_share, forget_list.people, gone, intake)
    if not benchmark.forget_ids:
        benchmark.may_lack += ("forget", "test")
    return Loaded(benchmark, intake, name, forget_list)


def write_prepared(
    loaded: Loaded, params: PrepareParams, seed: int, checks: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write splits, excluded rows and manifest.json to ``folder``; return the manifest.

    Raises UserError: more rows were excluded than ``prepare.max_excluded`` allows.
    """
    benchmark, forget_list = loaded.benchmark, loaded.forget_list
    loaded.intake.close(folder / "excluded.parquet")
    for split, records in benchmark.splits.items():
        write_records(folder / f"{split}.parquet", records)
    write_records(folder / "base.parquet", benchmark.base)
    manifest = {
        "source": params.source,
        "revision": params.revision,
        "format": loaded.format,
        "seed": seed,
        "forget_ids": benchmark.forget_ids,
        "requests": forget_list.fulfilled_by(benchmark.forget_ids),
        "gone": forget_list.gone,
        "counts": {split: _count(records) for split, records in benchmark.splits.items()},
        "excluded": dict(Counter(row["rule"] for row in loaded.intake.excluded)),
        "validation": {"version": VERSION, "suites": checks},
        "hashes": {path.name: sha256_path(path) for path in sorted(folder.glob("*.parquet"))},
    }
    if benchmark.notes:
        manifest["notes"] = benchmark.notes
    write_json(folder / "manifest.json", manifest)
    return manifest


def _count(records: list[Record]) -> dict[str, Any]:
    """Return how many people, pictures and records a split has, and records by task."""
    return {
        "people": len({record.person_id for record in records}),
        "pictures": len({image for record in records for image in record.images}),
        "records": len(records),
        "tasks": dict(Counter(record.task for record in records)),
    }
