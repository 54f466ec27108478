"""The unlearning run as evidence: is its summary about this adapter, and do its figures follow from its records?

Rules name its figures as ``unlearning.private_tokens.values_kept``, next to the metrics.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from viker.core.errors import UserError
from viker.core.files import read_json
from viker.data.records import read_columns, read_records
from viker.data.samples import sample_of
from viker.evidence.training_summary import KEY, NAME, read_summary
from viker.gate.integrity import FLOORS_COUNTED
from viker.gate.judge import Result, recounted, requirement
from viker.gate.policies import Policy
from viker.metrics.base.floors import COLUMNS, spans_of_values, summarised
from viker.metrics.base.private_values import judged

PROTECTS = "Settings under which private values can't be forgotten, hidden by another run's summary or a partial one."


def read_training(folder: Path, adapter: str, prepared: Path, policy: Policy) -> tuple[dict[str, Any], Result]:
    """Return the summary of the unlearning run, and whether it is the adapter's and its figures are as counted again.

    ``folder``: unlearn's records; ``adapter``: SHA-256.

    Raises UserError: there is no summary, though a rule of ``policy`` is about it; or a file can't be read.
    """
    if not (folder / NAME).is_file():
        texts = [*(one.rule for one in policy.rules), *(one.metric for one in policy.require)]
        if about := [text for text in texts if f"{KEY}." in text]:
            raise UserError(
                f"{folder / NAME}: no such file, but the policy's rule '{about[0]}' is about it. 'viker unlearn' "
                "writes it with the adapter: bring the folder along, or run 'viker unlearn'. An adapter that was made "
                "elsewhere has none: name a policy without rules on unlearning in gate.policy."
            )
        return {}, requirement(FLOORS_COUNTED, True, f"No {NAME} here, and no rule is about it.", protects=PROTECTS)
    summary = read_json(folder / NAME, "unlearn")
    try:
        read_summary(folder, adapter)
    except UserError as error:
        reason = str(error).replace(str(folder), folder.name)
        return summary, requirement(FLOORS_COUNTED, False, reason, protects=PROTECTS)
    rows = read_columns(folder / "private_tokens.parquet", COLUMNS, "unlearn").to_pandas()
    again, found = summarised(rows), summary.get("private_tokens") or {}
    problems = [
        f"{name} is {found.get(name)}, counted {again[name]}" for name in again if found.get(name) != again[name]
    ]
    there = rows.groupby("record_id")["value"].nunique()
    asked = _private_values(prepared)
    if lacking := sum(there.get(record, 0) != count for record, count in asked.items()):
        problems.append(f"of {len(asked)} answers with private values, {lacking} have others in private_tokens.parquet")
    passed = f"{again['values_kept']} of {again['values']} private values have a floor above .5."
    return summary, recounted(FLOORS_COUNTED, problems, passed, PROTECTS, "unlearn")


def _private_values(prepared: Path) -> Counter[str]:
    """Return by record ID how many private values stand in the answers that every run unlearns, where there are any."""
    records = judged({split: read_records(prepared, split) for split in ("forget", "retain")})["forget"]
    asked = [one for one in records if one.task == "qa" and one.modality in ("image_text", "text")]
    return +Counter({one.id: len(spans_of_values(sample_of(one).answer, one.secrets)) for one in asked})
