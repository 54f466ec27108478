"""unlearning/summary.json: what was trained, sealed, and bound to the adapter and the records it came with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import need_file, read_json, sha256_path, write_json
from viker.evidence.seal import check_seal, seal

NAME = "summary.json"
KEY = "unlearning"
"""Where a rule finds the summary, beside the metrics."""
RECORDS = ("key_tokens.parquet", "private_tokens.parquet", "entropy.csv", "loss.csv")


def write_summary(folder: Path, summary: Mapping[str, Any], adapter: Path) -> None:
    """Write ``summary`` beside the run's records, with the hashes of these and of ``adapter``, sealed."""
    records = {name: sha256_path(folder / name) for name in RECORDS}
    write_json(folder / NAME, seal({**summary, "adapter": sha256_path(adapter), "records": records}))


def read_summary(folder: Path, adapter: str) -> dict[str, Any]:
    """Return the summary in ``folder``, which must be that of the adapter whose SHA-256 is ``adapter``.

    Raises UserError: a file is missing, the summary or a record was edited, or it is about another adapter.
    """
    path = folder / NAME
    summary = read_json(path, "unlearn")
    if not check_seal(summary):
        raise UserError(
            f"{path}: edited after unlearn wrote it, or written by an earlier version of viker: its digest doesn't "
            "match its content. Run 'viker unlearn' again."
        )
    if summary["adapter"] != adapter:
        raise UserError(
            f"{path}: about another adapter (SHA-256 {summary['adapter'][:12]}…) than the one that was evaluated "
            f"({adapter[:12]}…). Run 'viker unlearn', 'viker evaluate' and 'viker gate' again."
        )
    if changed := [
        name for name in RECORDS if sha256_path(need_file(folder / name, "unlearn")) != summary["records"][name]
    ]:
        raise UserError(
            f"{folder}: {', '.join(changed)} changed since unlearn wrote it: the SHA-256 in {NAME} is another. Run "
            "'viker unlearn' again."
        )
    return summary


def with_training(metrics: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Return what rules are about: the metrics, and under ``unlearning`` the run's summary, {} where there is none."""
    rest = {name: value for name, value in metrics.items() if name != KEY}
    return rest | ({KEY: training} if training else {})
