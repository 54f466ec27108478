"""The purge: people whose requests are carried out leave every place of the work tree; what proves it stays.

The plan lies in the privacy folder until the purge is over, readable by its owner alone: it says what to look for.
A purge that was killed is the same purge once more, which looks again and finds less.
"""

import hashlib
import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.contract.params import Params
from components.privacy.marking import mark, mark_in_s3
from components.privacy.objects import away
from components.privacy.places import caches, searched, weights
from components.privacy.removal import remove_folder, treat
from components.privacy.search import Finder, Traces, files_below
from components.privacy.server import WEIGHTS
from components.privacy.traces import Gathered, gather
from viker.core.errors import UserError
from viker.core.files import new_file, read_json, sha256_bytes, sha256_path
from viker.core.pseudonyms import privacy_folder, salt
from viker.core.redact import without_secrets
from viker.core.run_store import INPUTS
from viker.core.settings import validated
from viker.data import guard
from viker.data.pictures import FINGERPRINTS
from viker.data.requests import SUFFIXES, ForgetRequest
from viker.evidence.audit import append
from viker.storage import is_remote
from viker.storage.checksums import md5_of

CACHE = Path(".dvc/cache")

log = logging.getLogger(__name__)


@dataclass
class Purge:
    """One purge: whose, what is looked for, and what was done so far."""

    requests: dict[str, ForgetRequest]
    traces: Traces
    also: list[str] = field(default_factory=list)
    """Further folders that are searched, such as volumes of containers, and prefixes of object stores."""

    @property
    def name(self) -> str:
        """The purge's name: the same for the same requests."""
        return sha256_bytes("\0".join(sorted(self.requests)).encode())[:12]

    @property
    def folder(self) -> Path:
        """Where its plan lies while it is under way."""
        return _plans() / self.name

    @property
    def receipt(self) -> Path:
        """Where its receipt goes."""
        return privacy_folder() / "receipts" / f"{self.name}.json"


def new_purge(
    params: Params, requests: Sequence[ForgetRequest], also: Sequence[str], known: Sequence[Path] = ()
) -> tuple[Purge, Gathered]:
    """Return the purge of some requests, which were carried out and not purged, and what was gathered of them.

    ``known``: data that is read for what tells of them, and not searched: copies that go with a container.
    """
    people = {person for request in requests for person in request.identities}
    gathered = gather([*_files(params, also), *files_below(known)], people)
    return Purge({request.id: request for request in requests}, gathered.traces, list(also)), gathered


def unfinished() -> Iterator[Purge]:
    """Yield the purges that were cut off."""
    for file in sorted(_plans().glob("*/plan.json")):
        plan = read_json(file, "purge")
        traces = Traces(**{name: frozenset(values) for name, values in plan["traces"].items()})
        safe = YAML(typ="safe", pure=True)  # it has days, which JSON has not
        requests = {name: validated(ForgetRequest, safe.load(text), file) for name, text in plan["requests"].items()}
        yield Purge(requests, traces, list(plan["also"]))


def find(params: Params, purge: Purge) -> list[tuple[Path, bool]]:
    """Return the files with a trace, fingerprints of pictures, and whether each can only be removed; requests last."""
    finder, kept = Finder(purge.traces), _hashes_of_weights()
    found, removed_objects, listings = list[tuple[Path, bool]](), set[str](), list[Path]()
    for path in _files(params, purge.also):
        is_object = CACHE in path.parents
        if is_object and path.suffix == ".dir":
            listings.append(path)
        elif is_object and path.parent.name + path.name in kept:
            continue
        elif path.name == FINGERPRINTS or finder.in_file(path):
            found.append((path, is_object))
            removed_objects |= {path.parent.name + path.name} if is_object else set()
    # a folder's listing in DVC's cache is of no use without all of its files
    found += [(path, True) for path in listings if any(one in path.read_text() for one in removed_objects)]
    requests = Path(params.prepare.requests)
    return sorted(found, key=lambda one: (requests in one[0].parents, str(one[0])))


def carry_out(
    params: Params,
    purge: Purge,
    gathered: Gathered | None,
    remote: bool,
    say: Callable[[str], None],
    elsewhere: str = "",
) -> dict[str, Any]:
    """Remove what ``find`` finds, search again, write the receipt, and return it.

    ``elsewhere``: a further clause of what is not covered; "": none.

    Raises UserError: a trace is left, such as in a file that can't be written. The plan stays, for another try.
    """
    from components.privacy.receipt import receipt, write_receipt

    _write_plan(purge)
    _keep_guard(purge, gathered, say)
    done, finder = purge.folder / "done.jsonl", Finder(purge.traces)
    for folder in _stale_states(params, purge, finder):
        _note(done, folder, "removed")
        remove_folder(folder)
    for path, whole in find(params, purge):
        _note(done, path, "removed")
        how = treat(path, finder, whole)
        _note(done, path, how)
        if params.prepare.requests in map(str, path.parents) and how == "rewritten":
            mark(path)
    for name, take_out in away(finder, purge.also):
        _note(done, Path(name), "removed")
        _note(done, Path(name), take_out())
    mark_in_s3(params.prepare.requests, purge.requests)
    _remove_empty(CACHE)
    in_remote = _purge_remote(finder) if remote else None
    files = _files(params, purge.also)
    left = [str(path) for path, _ in find(params, purge)] + [name for name, _ in away(finder, purge.also)]
    if left:
        raise UserError(
            f"{', '.join(left[:5])}: still hold something of the people of {', '.join(purge.requests)}. Give write "
            "access to them, stop what writes there, and run 'viker purge' again."
        )
    removed = {line["path"]: line["how"] for line in map(json.loads, done.read_text().splitlines())}
    written = receipt(
        purge,
        removed={_public(path, finder): how for path, how in removed.items()},
        remote=in_remote,
        searched={"files": len(files), "bytes": sum(path.stat().st_size for path in files), "found": 0},
        not_covered=[*_not_covered(params, purge, finder, remote), *([elsewhere] if elsewhere else [])],
    )
    write_receipt(purge.receipt, written)
    append("purge", {"requests": sorted(purge.requests), "receipt": written["digest"]})
    remove_folder(purge.folder)
    return written


def people_hashes(request: ForgetRequest) -> list[str]:
    """Return the salted hashes of a request's people for its receipt: SHA-256 of the salt and the ID."""
    return sorted(hashlib.sha256((salt(request.id) + person).encode()).hexdigest() for person in request.identities)


def _plans() -> Path:
    return privacy_folder() / "purge"


def _files(params: Params, also: Sequence[str]) -> list[Path]:
    """Return the files to search: no model or adapter, and not the purge's own plan."""
    skipped = {*(path.resolve() for path in weights()), privacy_folder().resolve()}
    requests, files = Path(params.prepare.requests), dict[Path, Path]()
    for path in files_below([*searched(params), *(Path(one) for one in also if not is_remote(one))]):
        if path.suffix != WEIGHTS and (path.parent != requests or path.suffix in SUFFIXES):
            files.setdefault(path.resolve(), path)
    return [path for place, path in files.items() if skipped.isdisjoint(place.parents)]


def _hashes_of_weights() -> set[str]:
    """Return DVC's hashes of the model and adapter files in the work tree, whose copies in the cache stay with them."""
    return {md5_of(path) for path in files_below(weights())}


def _write_plan(purge: Purge) -> None:
    purge.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = purge.folder / "plan.json"
    if path.is_file():
        return
    traces = {name: sorted(values) for name, values in asdict(purge.traces).items()}
    requests = {name: _yaml(request) for name, request in purge.requests.items()}
    with new_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({"traces": traces, "requests": requests, "also": purge.also}))


def _yaml(request: ForgetRequest) -> str:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(request.model_dump(), stream)
    return stream.getvalue()


def _keep_guard(purge: Purge, gathered: Gathered | None, say: Callable[[str], None]) -> None:
    """Encrypt a guard set for each request, while there is something to encrypt and a key to do it under."""
    cipher = guard.guard_key()
    for name, request in purge.requests.items():
        if guard.guard_file(name).is_file():
            continue
        if cipher is None:
            say(f"{name}: no guard set is kept, as {guard.VARIABLE} is not set: a relapse can't be looked for later.")
        elif gathered is not None:
            people = set(request.identities)
            own = [record for record in gathered.records.values() if record.person_id in people]
            images = {image for record in own for image in record.images}
            count = guard.write_guard(name, own, {k: v for k, v in gathered.pictures.items() if k in images}, cipher)
            say(f"{name}: {count} questions in the encrypted guard set {guard.guard_file(name)}")


def _stale_states(params: Params, purge: Purge, finder: Finder) -> Iterator[Path]:
    """Yield the cache, and the state folders of runs not yet over, but for data that name none of these people."""
    yield from caches(purge.also)
    # what they hold is numbers and bare replies, which no search tells: the data's hash does
    harmless = {
        sha256_path(path)
        for path in _files(params, purge.also)
        if path.name == "manifest.json" and CACHE not in path.parents and not finder.in_file(path)
    }
    for inputs in sorted(Path("work").rglob(INPUTS)):
        if json.loads(inputs.read_text()).get("data") not in harmless:
            yield inputs.parent


def _note(done: Path, path: Path, how: str) -> None:
    """Write down what is about to be done, or was: a purge that is killed in between lists it all the same."""
    with done.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"path": str(path), "how": how}) + "\n")
        stream.flush()


def _public(path: str, finder: Finder) -> str:
    """Return a path for the receipt: a part that names somebody is left out."""
    named = {part for part in Path(path).parts if Path(part).stem in finder.traces.ids or finder.in_value(part)}
    return str(Path(*("***" if part in named else part for part in Path(path).parts)))


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() else ():
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _purge_remote(finder: Finder) -> list[str]:
    """Remove the objects with a trace from DVC's default remote, and return their hashes.

    Raises UserError: there is no remote, or it doesn't answer.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    removed = []
    try:
        with Repo(".") as repo:
            remote: Any = repo.cloud.get_remote_odb()
            for name in list(remote.all()):
                path = remote.oid_to_path(name)
                with remote.fs.open(path, "rb") as stream:
                    content = stream.read()
                if finder.in_bytes(content):
                    remote.fs.remove(path)
                    removed.append(name)
    except (DvcException, OSError) as error:
        raise UserError(f"--remote: DVC's remote: {without_secrets(str(error))[:300]}") from None
    return sorted(removed)


def _not_covered(params: Params, purge: Purge, finder: Finder, remote: bool) -> Iterator[str]:
    """Yield what this purge can't reach, a clause each."""
    source = params.prepare.source
    if is_remote(source):
        yield f"the source {source}, which is yours"
    elif any(finder.in_file(path) for path in files_below([Path(source)])):
        yield f"the source {source}, which is yours and still has them: remove them there too"
    if not remote:
        yield "DVC's remote: --remote searches it"
    yield "models and adapters: what they have memorised is what the gate has measured"
    if _in_git(Path(params.prepare.requests)):
        yield f"git's history of {params.prepare.requests}, if the requests were committed there"


def _in_git(path: Path) -> bool:
    git = shutil.which("git")
    command = [git or "git", "ls-files", "--", f"{path}/*.yaml", f"{path}/*.yml"]
    return bool(git) and bool(subprocess.run(command, capture_output=True, check=False).stdout)  # noqa: S603 - git as found on PATH, paths after --, no shell
