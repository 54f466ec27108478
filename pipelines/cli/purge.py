"""``viker purge``: remove what is kept of people whose requests are carried out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.params import Params, load_params
from components.privacy.choice import carried_out_before
from components.privacy.objects import away
from components.privacy.purge import Purge, carry_out, find, new_purge, unfinished
from components.privacy.receipt import find_receipt
from components.privacy.search import Finder
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError, did_you_mean
from viker.core.files import locked, private_files
from viker.core.pseudonyms import privacy_folder
from viker.data.requests import ForgetRequest, read_requests
from viker.evidence.signature import signature_file
from viker.storage import is_remote


def purge(
    requests: Annotated[list[str] | None, typer.Argument(metavar="REQUEST…", help="IDs of requests.")] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Also all requests that were carried out at least so long ago, such as 30d.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only list what would be done.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Search DVC's default remote too.")] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="Search this folder too, such as a volume of containers, or these objects (s3://BUCKET/PREFIX), such "
            "as those of Kubeflow's runs; repeatable."
        ),
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Remove every trace of people who were forgotten on request, and write a receipt.

    Without `--yes` it lists what it would do. Work tree, DVC's cache, MLflow's database and files, or the server that
    MLFLOW_TRACKING_URI names, the outbox and the states of runs are searched in what they say once decoded. Files about
    others lose the rows of these people; others are removed. In the requests, pseudonyms stay, by which the registry
    knows whom a version forgets.

    With VIKER_GUARD_KEY the questions are kept, encrypted, so that `viker recheck` can ask a later model. A purge that
    was killed goes on with the same command; once more changes nothing.
    """
    settings = load_params(params)
    if is_remote(settings.prepare.requests):
        raise UserError(f"prepare.requests is '{settings.prepare.requests}': 'viker purge' needs a local folder.")
    folder = privacy_folder()
    with private_files(), locked(folder):
        if yes:
            for started in unfinished():
                say(f"going on with the purge of {', '.join(started.requests)}, which was cut off")
                _finish(settings, started, carry_out(settings, started, None, remote, say))
        chosen = _chosen(settings, requests or [], older_than)
        if not chosen:
            return
        job, gathered = new_purge(settings, chosen, also or [])
        if not yes:
            elsewhere = (name for name, _ in away(Finder(job.traces), job.also))
            for where in (*(str(path) for path, _ in find(settings, job)), *elsewhere):
                say(where)
            say(f"Nothing was changed. --yes removes {', '.join(job.requests)} from these files.")
            return
        _finish(settings, job, carry_out(settings, job, gathered, remote, say))


def _finish(params: Params, job: Purge, receipt: dict[str, Any]) -> None:
    """Say what was done, and where the receipt is."""
    done = dict(receipt["done"])
    how = {kind: sum(value == kind for value in done.values()) for kind in ("removed", "rewritten")}
    say(f"purged {', '.join(job.requests)}: {how['removed']} files removed, {how['rewritten']} rewritten, nothing left")
    signed = signature_file(job.receipt)
    say(f"receipt: {job.receipt}{f', signed in {signed}' if signed.is_file() else ', not signed'}")
    for clause in receipt["not_covered"]:
        say(f"not covered: {clause}")


def _chosen(params: Params, names: list[str], older_than: str | None) -> list[ForgetRequest]:
    """Return the requests to purge.

    Raises UserError: none is named, one is not there or not carried out, or ``older_than`` is no time.
    """
    if not names and older_than is None:
        raise UserError("name the requests to purge, or --older-than 30d. 'viker request list' shows them.")
    known = {request.id: request for request in read_requests(Path(params.prepare.requests)).values()}
    chosen = dict[str, ForgetRequest]()
    for name in names:
        if name not in known:
            raise UserError(f"no request '{name}' in {params.prepare.requests}{did_you_mean(name, known)}")
        request = known[name]
        if request.carried_out is None:
            raise UserError(
                f"request '{name}' is not carried out: its people are still to be forgotten. 'viker promote' or "
                "'viker request done' marks it."
            )
        if request.purged:
            receipt = find_receipt(name)
            say(f"{name}: purged on {request.purged} already{', receipt ' + str(receipt['digest']) if receipt else ''}")
            continue
        chosen[name] = request
    if older_than is not None:
        chosen |= carried_out_before(known.values(), older_than)
        if not chosen:
            say(f"no request was carried out {older_than} ago or earlier and is not purged")
    return list(chosen.values())
