"""Great Expectations over the prepared splits, and the page on what it found."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from viker.core.errors import UserError
from viker.core.files import new_folder, write_json
from viker.data.formats.base.intake import BadRow, Benchmark, Intake
from viker.data.validation.expectations import REMEDIES, VERSION, frame, people_frame, people_suite, split_suite
from viker.data.validation.page import page

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def validate(loaded: Benchmark, intake: Intake, out: Path, data_docs: bool = False) -> dict[str, Any]:
    """Check the splits, write a page and summary.json to ``out``; return for each suite how many expectations hold.

    ``data_docs``: whether Great Expectations' own pages are written too. They load what they show from hosts outside,
    and quote values that break a rule.

    With ``prepare.on_invalid: exclude``, rows that break a rule leave ``loaded`` and are listed in ``intake``; what is
    left is then checked, so that the page describes what the later stages read.

    Raises UserError: an expectation failed; the page is written all the same.
    """
    frames = _frames(loaded, intake)
    outcomes = _check(frames, loaded.may_lack, out, data_docs)
    if intake.on_invalid == "exclude" and any(outcome["rows"] for outcome in outcomes):
        _set_aside(loaded, outcomes, intake)
        frames = _frames(loaded, intake)
        outcomes = _check(frames, loaded.may_lack, out, data_docs)
    if failed := next((outcome for outcome in outcomes if not outcome["success"]), None):
        split, column = failed["split"], failed["column"]
        problem = f"the split '{split}' breaks the expectation '{failed['name']}': {failed['observed']}."
        if failed["rows"]:
            record = frames[split].iloc[failed["rows"][0]]
            problem = f"split {split}, record {record['id']}: {REMEDIES[column]} (rule {column})."
        raise UserError(f"{problem} Correct the data; {out / 'index.html'} shows all results.")
    counts = {name: [f["success"] for f in outcomes if f["split"] == name] for name in frames}
    return {name: {"expectations": len(held), "passed": sum(held)} for name, held in counts.items()}


def _frames(loaded: Benchmark, intake: Intake) -> dict[str, pd.DataFrame]:
    return {split: frame(loaded, split, intake.pictures) for split in loaded.splits} | {"people": people_frame(loaded)}


def _set_aside(loaded: Benchmark, outcomes: list[dict[str, Any]], intake: Intake) -> None:
    for split, records in loaded.splits.items():
        intake.records += len(records)
        broken = {row: f["column"] for f in reversed(outcomes) if f["split"] == split for row in f["rows"]}
        for number, rule in sorted(broken.items()):
            record = records[number]
            bad = BadRow(f"split {split}, record {record.id}", record.task, rule, f"{REMEDIES[rule]}.")
            intake.bad_records.append((bad, record.person_id))
        loaded.splits[split] = [record for number, record in enumerate(records) if number not in broken]


def _check(
    frames: dict[str, pd.DataFrame], may_lack: tuple[str, ...], out: Path, data_docs: bool
) -> list[dict[str, Any]]:
    import great_expectations as gx

    with new_folder(out) as folder:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        if data_docs:
            _add_site(context, folder / "data_docs")
        source = context.data_sources.add_pandas("prepared")
        outcomes: list[dict[str, Any]] = []
        for name, rows in frames.items():
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
            rules = (
                people_suite(gx, "forget" not in may_lack)
                if name == "people"
                else split_suite(gx, name, int(name not in may_lack))
            )
            definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(rules))
            complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
            result = context.validation_definitions.add(definition).run(
                batch_parameters={"dataframe": rows}, result_format="SUMMARY" if name == "people" else complete
            )
            outcomes += [_outcome(name, item) for item in result.results]
        if data_docs:
            with _rendered_whole():
                context.build_data_docs()
        public = [_public(outcome) for outcome in outcomes]
        success = all(f["success"] for f in outcomes)
        write_json(folder / "summary.json", {"version": VERSION, "expectations": public, "success": success})
        text = page(public, {name: len(rows) for name, rows in frames.items()}, data_docs)
        (folder / "index.html").write_text(text, encoding="utf-8")
    return outcomes


def _add_site(context: Any, folder: Path) -> None:
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    builder = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        site_name="validation",
        site_config={"class_name": "SiteBuilder", "store_backend": backend, "site_index_builder": builder},
    )


def _public(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome without values of the data: what was observed if it is a number, and how many rows."""
    observed = outcome["observed"] if re.fullmatch(r"-?[0-9.e+-]+|True|False", outcome["observed"]) else None
    return outcome | {"observed": observed, "unexpected": len(outcome["rows"])}


@contextmanager
def _rendered_whole() -> Iterator[None]:
    """Raise what Great Expectations merely logs while it writes Data Docs, and goes on with some pages missing."""
    errors: list[BaseException] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(sys.exc_info()[1] or RuntimeError(record.getMessage()))

    logger, keep = logging.getLogger("great_expectations.render.renderer.site_builder"), Keep(logging.ERROR)
    logger.addHandler(keep)
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(keep)
        logger.propagate = before
    if errors:
        raise errors[0]


def _outcome(split: str, item: Any) -> dict[str, Any]:
    config, result = item.expectation_config, item.result or {}
    column = config.kwargs.get("column")
    return {
        "split": split,
        "name": f"{config.type}({column})" if column else config.type,
        "column": column,
        "success": bool(item.success),
        "observed": str(result.get("observed_value", result.get("partial_unexpected_list", []))),
        "rows": [int(at["row"]) for at in result.get("unexpected_index_list") or []] if column in REMEDIES else [],
    }
