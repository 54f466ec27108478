"""``viker purge``: remove what is kept of people whose requests are carried out."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from components.contract.params import Params, load_params
from pipelines.privacy.purge import Purge, carry_out, find, new_purge, unfinished
from pipelines.privacy.receipt import find_receipt
from viker.core.console import ParamsOption, say
from viker.core.errors import UserError, did_you_mean
from viker.core.files import locked, private_files
from viker.core.pseudonyms import privacy_folder
from viker.data.requests import ForgetRequest, read_requests
from viker.evidence.audit import append
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
        list[Path] | None, typer.Option(help="Search this folder too, such as a volume of containers; repeatable.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Remove every trace of people who were forgotten on request, and write a receipt.

    Without `--yes` it lists what it would do. Work tree, DVC's cache, MLflow's database and files, the outbox and the
    states of runs are searched in what they say once decoded. Files about others lose the rows of these people; others
    are removed. In the requests, pseudonyms stay, by which the registry knows whom a version forgets.

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
        job, gathered = new_purge(settings, chosen, [str(path) for path in also or ()])
        if not yes:
            for path, _ in find(settings, job):
                say(str(path))
            say(f"Nothing was changed. --yes removes {', '.join(job.requests)} from these files.")
            return
        _finish(settings, job, carry_out(settings, job, gathered, remote, say))


def _finish(params: Params, job: Purge, receipt: dict[str, Any]) -> None:
    """Note the purge in the audit log, and say where the receipt is."""
    append("purge", {"requests": sorted(job.requests), "receipt": receipt["digest"]})
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
        before = date.today() - _days(older_than)
        chosen |= {k: r for k, r in known.items() if r.carried_out and not r.purged and r.carried_out.date <= before}
        if not chosen:
            say(f"no request was carried out {older_than} ago or earlier and is not purged")
    return list(chosen.values())


def _days(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([dw])", text)
    if match is None:
        raise UserError(f"--older-than is '{text}': expected days or weeks, such as 30d or 4w.")
    return timedelta(days=int(match[1]) * {"d": 1, "w": 7}[match[2]])
