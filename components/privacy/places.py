"""Where a work tree holds something of people: what the stages declare, and what lies around them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from components.contract.params import Params
from components.contract.stages import NOBODY, Personal, stages
from viker.core.mlflow_store import ARTIFACTS, database, tracking_uri
from viker.core.pseudonyms import privacy_folder
from viker.core.result_cache import cache_folder
from viker.storage import is_remote
from viker.tracking.outbox import outbox


class Place(NamedTuple):
    """A file or folder, what makes it, and what it holds of people."""

    path: Path
    made_by: str
    personal: Personal
    searched: bool = True
    """Whether a purge searches it."""


NAMED = Personal("forget", "IDs of the people whom a request names", kept="until 'viker purge': pseudonyms stay")
GIVEN = Personal("forget", "IDs in prepare.forget_ids, if any")
CACHED = Personal("everybody", "copies of what the stages wrote", copies=("DVC's remote",))
ENCRYPTED = Personal(
    "nobody",
    "pseudonyms' key, encrypted guard sets and replies to them, receipts, audit log",
    kept="as long as a version's coverage is to be known",
    copies=(),
)
RESULTS = Personal(
    "everybody", "replies, and what the teacher expects of answers", kept="until a purge or the limit", copies=()
)
SOURCE = Personal("everybody", "the data itself, which is yours: nothing here removes it", kept="as you say", copies=())


def places(params: Params) -> list[Place]:
    """Return all places of the current work tree, whether they exist or not; the stages' first, in their order."""
    return [*_of_stages(), *_around(params)]


def searched(params: Params) -> list[Path]:
    """Return the places that a purge searches: all but the source, the key's folder, and the model and adapter."""
    return [one.path for one in places(params) if one.searched and one.personal.form != "weights"]


def weights() -> list[Path]:
    """Return where models and adapters lie in the work tree."""
    return [one.path for one in _of_stages() if one.personal.form == "weights"]


def caches(also: Sequence[str]) -> list[Path]:
    """Return the caches of results, of runs on whatever data: the work tree's, and those in the folders ``also``."""
    below = (path for one in also if not is_remote(one) for path in Path(one).rglob("work/cache"))
    return list({path.resolve(): path for path in (cache_folder(), *below) if path.is_dir()}.values())


def _of_stages() -> Iterator[Place]:
    for stage in stages().values():
        for what in stage.written().values():
            yield Place(Path(what.path), stage.name, what.personal)


def _around(params: Params) -> Iterator[Place]:
    if not is_remote(params.prepare.requests):
        yield Place(Path(params.prepare.requests), "viker request", NAMED)
    yield Place(Path("params.yaml"), "viker profile", GIVEN)
    yield Place(Path("dvc.lock"), "DVC", GIVEN)
    yield Place(Path(".dvc/cache"), "DVC", CACHED)
    yield Place(Path(".dvc/tmp"), "DVC", CACHED)
    published = NOBODY if params.section("register").publish == "redacted" else CACHED
    yield Place(outbox(), "tracking", published)
    yield Place(outbox().with_name("wandb"), "tracking.also", published)
    if (file := database(tracking_uri())) is not None:
        yield Place(file, "MLflow", published)
        yield Place(file.parent / ARTIFACTS, "MLflow", published)
    yield Place(cache_folder(), "unlearn and evaluate", RESULTS)
    yield Place(Path("work"), "sweeps, tuning and benchmarks", CACHED)
    yield Place(Path("dvc_plots"), "dvc plots", NOBODY)
    yield Place(privacy_folder(), "viker purge", ENCRYPTED, searched=False)
    yield Place(Path(params.prepare.source), "you", SOURCE, searched=False)
