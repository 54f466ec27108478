"""The irrelevant images, the evidence that none of them shows a person of the data, and who gets which."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from viker.core.errors import UserError
from viker.core.files import new_folder, sha256_bytes, write_json
from viker.data.irrelevant.encoding import encode
from viker.data.irrelevant.sources import ABLATIONS, source
from viker.data.irrelevant.resemblance import Known
from viker.data.irrelevant.assignment import write_assigned
from viker.data.pictures.checks import BadPicture
from viker.data.records import read_records
from viker.data.settings import SampleParams


def run(
    params: SampleParams, seed: int, prepared: Path, out: Path, cache: Path = Path("data/sources")
) -> dict[str, Any]:
    """Write ``params.pool`` images, the kinds in turn, who gets which, and manifest.json to ``out``.

    Return the manifest. ``cache`` keeps what is fetched of a folder that isn't local.

    Raises:
        UserError: a source can't be used, or has too few images that show nobody of the data.
    """
    records = [record.id for record in read_records(prepared, "forget")]
    known = Known(prepared)
    rng = random.Random(seed)
    sources = [(kind, source(kind, params, prepared, cache, rng)) for kind in params.kinds]
    chosen: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    with new_folder(out) as folder:
        bar = tqdm(total=params.pool, desc="irrelevant images", unit="image", leave=False, delay=2)
        while len(chosen) < params.pool:
            kind, images = sources[len(chosen) % len(sources)]
            origin, given = next(images, ("", None))
            if given is None:
                raise UserError(_too_few(params, kind, chosen, refused))
            entry: dict[str, Any] = {"kind": kind, "origin": origin, "ablation": kind in ABLATIONS}
            try:
                content, original = encode(given)
                reason, entry["nearest"] = known.compare(content, original)
            except BadPicture as bad:
                refused.append(entry | {"reason": str(bad)})
                continue
            entry["sha256"] = sha256_bytes(content)
            if any(entry["sha256"] == other["sha256"] for other in chosen):
                refused.append(entry | {"reason": "already in the pool"})
            elif reason is not None and not entry["ablation"]:
                refused.append(entry | {"reason": reason})
            else:
                name = f"{len(chosen):0{max(3, len(str(params.pool - 1)))}d}-{kind}.png"
                (folder / name).write_bytes(content)
                chosen.append(entry | {"file": name})
                bar.update()
        bar.close()
        write_assigned(folder, assign(records, [image["file"] for image in chosen], params.k, seed))
        manifest = {
            "kinds": list(params.kinds),
            "k": params.k,
            "pool": params.pool,
            "seed": seed,
            "ablation": any(image["ablation"] for image in chosen),
            "images": chosen,
            "checked_against": len(known.keys),
            "refused": refused,
        }
        write_json(folder / "manifest.json", manifest)
    return manifest


def assign(records: Sequence[str], files: Sequence[str], k: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Return for each record k of the files, without replacement, sorted by name.

    Which ones depends on seed, record and files alone, not on the other records or their order. Sorted, because the
    teacher's mean doesn't depend on their order and records with the same images then share their work.
    """
    pool = sorted(files)
    return {record: tuple(sorted(random.Random(f"{seed} {record}").sample(pool, k))) for record in records}


def _too_few(params: SampleParams, kind: str, chosen: list[dict[str, Any]], refused: list[dict[str, Any]]) -> str:
    count = sum(image["kind"] == kind for image in chosen)
    mine = [f"{image['origin']}: {image['reason']}" for image in refused if image["kind"] == kind]
    listed = f" Refused were {len(mine)}: {'; '.join(mine[:3])}{'; …' if len(mine) > 3 else ''}." if mine else ""
    return (
        f"sample.pool is {params.pool}, but the kind '{kind}' has only {count} images that can be used and show nobody "
        f"of the data.{listed} Lower sample.pool, or add images or kinds."
    )
