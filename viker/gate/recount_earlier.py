"""What the metrics say of earlier requests' people, counted again from the guard sets and the encrypted replies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.manifest import read_manifest
from viker.data.guard import VARIABLE
from viker.evaluation.earlier import count_earlier, kept_replies, read_guarded
from viker.gate.integrity import EARLIER_COUNTED
from viker.gate.judge import Result, recounted
from viker.gate.recount_attacks import differences


def recount_earlier(metrics: Mapping[str, Any], prepared: Path, seed: int, adapter_sha256: str) -> list[Result]:
    """Return whether the block ``earlier`` is as counted from what is kept here.

    ``seed``: of params.yaml; ``adapter_sha256``: of the adapter, by which the questions are drawn.

    Raises UserError: the manifest can't be read, or VIKER_GUARD_KEY is another key.
    """
    guarded = read_guarded(adapter_sha256)
    replies = kept_replies(guarded, adapter_sha256)
    written = metrics.get("earlier")
    block: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
    if replies is None:
        problems = ["the replies about people of earlier requests are not in the folder of the guard sets"]
    else:
        counted = count_earlier(guarded, replies, read_manifest(prepared).get("gone", ()), seed)
        names = dict.fromkeys([*counted, *block])
        problems = list(differences("earlier", {name: block.get(name) for name in names}, counted))
        if problems and guarded.kept > guarded.read:
            problems.insert(0, f"{VARIABLE} is not set, so the guard sets can't be read here")
    return [recounted(EARLIER_COUNTED, problems, f"{len(replies or ())} replies.", "People who are known again.")]
