"""Great Expectations over the prepared splits, with Data Docs for people to read."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from components.common.errors import UserError
from components.common.files import new_folder, write_json
from components.common.records import RECORD_SCHEMA, SPLITS
from components.prepare.mllmu import Benchmark

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def validate(loaded: Benchmark, out: Path) -> None:
    """Check every split, write Data Docs and summary.json to ``out``.

    Raises:
        UserError: an expectation failed; the Data Docs are written all the same.
    """
    import great_expectations as gx

    with new_folder(out) as folder:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
        builder = {"class_name": "DefaultSiteIndexBuilder"}
        context.add_data_docs_site(
            site_name="validation",
            site_config={"class_name": "SiteBuilder", "store_backend": backend, "site_index_builder": builder},
        )
        source = context.data_sources.add_pandas("prepared")
        found: list[dict[str, Any]] = []
        definitions = []
        for split in SPLITS:
            frame = _frame(loaded, split)
            batch = source.add_dataframe_asset(split).add_batch_definition_whole_dataframe("all")
            suite = context.suites.add(gx.ExpectationSuite(name=split, expectations=_expectations(gx, split)))
            definition = gx.ValidationDefinition(name=split, data=batch, suite=suite)
            definitions.append(context.validation_definitions.add(definition))
            result = context.checkpoints.add(
                gx.Checkpoint(
                    name=split,
                    validation_definitions=[definition],
                    actions=[gx.checkpoint.UpdateDataDocsAction(name="docs")],
                )
            ).run(batch_parameters={"dataframe": frame})
            for run in result.run_results.values():
                found += [_outcome(split, item) for item in run.results]
        context.build_data_docs()
        write_json(folder / "summary.json", {"expectations": found, "success": all(f["success"] for f in found)})
    for failed in (f for f in found if not f["success"]):
        raise UserError(
            f"the split '{failed['split']}' breaks the expectation '{failed['name']}': {failed['observed']}. "
            f"Correct the data; {out / 'index.html'} shows all results."
        )


def _frame(loaded: Benchmark, split: str) -> pd.DataFrame:
    others = {"forget": "retain", "retain": "forget"}.get(split)
    other = loaded.splits[others] if others else []
    people, pictures = {r.person_id for r in other}, {image for r in other for image in r.images}
    rows = []
    for record in loaded.splits[split]:
        row = {name: getattr(record, name) for name in RECORD_SCHEMA.names}
        row["person_elsewhere"] = record.person_id in people
        row["picture_elsewhere"] = any(image in pictures for image in record.images)
        row["picture_known"] = all(image in loaded.pictures for image in record.images)
        row["to_forget"] = record.person_id in loaded.forget_ids
        rows.append(row)
    extra = ["person_elsewhere", "picture_elsewhere", "picture_known", "to_forget"]
    return pd.DataFrame(rows, columns=[*RECORD_SCHEMA.names, *extra])


def _expectations(gx: Any, split: str) -> list[Any]:
    e = gx.expectations
    checks = [e.ExpectTableRowCountToBeBetween(min_value=1), e.ExpectColumnValuesToBeUnique(column="id")]
    checks += [e.ExpectColumnToExist(column=name) for name in RECORD_SCHEMA.names]
    checks += [e.ExpectColumnValuesToNotBeNull(column=c) for c in ("id", "person_id", "question", "answer")]
    tasks = ["qa", "generation", "classification", "cloze"]
    checks.append(e.ExpectColumnValuesToBeInSet(column="task", value_set=tasks))
    checks.append(e.ExpectColumnValuesToBeInSet(column="modality", value_set=["image_text", "text"]))
    flags = {"person_elsewhere": False, "picture_elsewhere": False, "picture_known": True}
    flags["to_forget"] = split in ("forget", "test")
    checks += [e.ExpectColumnValuesToBeInSet(column=c, value_set=[v]) for c, v in flags.items()]
    return checks


def _outcome(split: str, item: Any) -> dict[str, Any]:
    config = item.expectation_config
    column = config.kwargs.get("column")
    result = item.result or {}
    observed = result.get("observed_value", result.get("partial_unexpected_list", []))
    name = f"{config.type}({column})" if column else config.type
    return {"split": split, "name": name, "success": bool(item.success), "observed": str(observed)}
