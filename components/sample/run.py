"""The irrelevant images, the evidence that none of them shows a person of the data, and who gets which."""

from pathlib import Path
from typing import Any

from viker.core.files import new_folder, write_json
from viker.data.irrelevant.assignment import write_assigned
from viker.data.irrelevant.pool import assign, gather
from viker.data.irrelevant.resemblance import DataPictures
from viker.data.records import read_records
from viker.data.settings import SampleParams


def run(
    params: SampleParams,
    seed: int,
    prepared: Path,
    out: Path,
    cache: Path = Path("data/sources"),
    known: Path | None = None,
) -> dict[str, Any]:
    """Write ``params.pool`` images, who gets which, and manifest.json to ``out``; return the manifest.

    ``cache`` keeps what is fetched of a folder that isn't local; ``known`` is where prepare keeps
    fingerprints of pictures, which are then not decoded again.

    Raises UserError: a source can't be used, or has too few images that show nobody of the data.
    """
    records = [record.id for record in read_records(prepared, "forget")]
    data = DataPictures(prepared, known)
    with new_folder(out) as folder:
        pool, refused = gather(params, seed, prepared, data, folder, cache)
        write_assigned(folder, assign(records, [image["file"] for image in pool], params.k, seed))
        manifest = {
            "kinds": list(params.kinds),
            "k": params.k,
            "pool": params.pool,
            "seed": seed,
            "ablation": any(image["ablation"] for image in pool),
            "images": pool,
            "checked_against": len(data.keys),
            "refused": refused,
        }
        write_json(folder / "manifest.json", manifest)
    return manifest
