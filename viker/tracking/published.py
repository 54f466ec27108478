"""What MLflow gets of what a stage recorded: with ``register.publish: redacted`` no private value, ID or picture."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from viker.core.files import sha256_path, write_json
from viker.core.pseudonyms import pseudonym

REDACTED = "redacted_from"
"""The key of a redacted JSON file with the SHA-256 of the whole one, which metrics and verdict refer to."""


def published_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of params.yaml with pseudonyms for the people that they name."""
    prepare = values["prepare"]
    return {**values, "prepare": {**prepare, "forget_ids": [pseudonym(one) for one in prepare["forget_ids"]]}}


def params_text(values: Mapping[str, Any], text: str) -> str:
    """Return params.yaml to be published: ``text`` itself where it names nobody, else its values with pseudonyms."""
    if not values["prepare"]["forget_ids"]:
        return text
    stream, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.dump(published_params(values), stream)
    return stream.getvalue()


def redact_files(folder: Path) -> None:
    """Redact, in a copy of what is to be published, the files that hold something of people; see ``FILES``."""
    for path in sorted(folder.rglob("*")):
        if path.name in FILES and path.is_file():
            FILES[path.name](path)


def redact_manifest(path: Path) -> None:
    """Redact a manifest: of the prepared data, counts and hashes stay, and pseudonyms; of the images, how many."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if REDACTED in manifest:
        return
    if "images" in manifest:
        public = manifest | {name: len(manifest[name]) for name in ("images", "refused")}
    else:
        people = {name: [pseudonym(one) for one in manifest.get(name, ())] for name in ("forget_ids", "gone")}
        public = {name: value for name, value in manifest.items() if name != "notes"} | people
    write_json(path, public | {REDACTED: sha256_path(path)})


def redact_coverage(path: Path) -> None:
    """Put pseudonyms in place of the people that an adapter forgets."""
    coverage = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, coverage | {"people": sorted(pseudonym(one) for one in coverage["people"])})


def redact_tokens(path: Path) -> None:
    """Leave of a table of tokens what the plots need: no question, no token, pseudonyms of records and people."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if "token" not in table.column_names:
        return
    rows = table.drop_columns(["question", "token"]).replace_schema_metadata(None)
    for name in {"record_id", "person_id"} & set(rows.column_names):
        pseudonyms = [pseudonym(one) for one in rows[name].to_pylist()]
        rows = rows.set_column(rows.column_names.index(name), name, [pseudonyms])
    pq.write_table(rows, path)


FILES: dict[str, Callable[[Path], None]] = {
    "manifest.json": redact_manifest,
    "coverage.json": redact_coverage,
    "key_tokens.parquet": redact_tokens,
    "private_tokens.parquet": redact_tokens,
}
"""How to redact a file of a name, in place; once more changes nothing."""
