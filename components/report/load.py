"""Reading the tables that other stages wrote."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.common.errors import UserError


def read_csv(path: Path, columns: tuple[str, ...], made_by: str) -> dict[str, list[float]]:
    """Return the named columns of a CSV file as numbers, NaN for an empty cell.

    Raises:
        UserError: the file is missing, lacks a column, or holds something else than numbers.
    """
    try:
        table = pd.read_csv(path)
        _need(path, list(table.columns), columns, made_by)
        return {name: [float(value) for value in table[name]] for name in columns}
    except FileNotFoundError:
        raise _missing(path, made_by) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not a table of numbers ({error}). Run 'viker {made_by}' again.") from None


def read_rows(path: Path, columns: tuple[str, ...], made_by: str) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file in their order, with the named columns.

    Raises:
        UserError: the file is missing, broken, or lacks a column.
    """
    try:
        _need(path, pq.read_schema(path).names, columns, made_by)
        rows: list[dict[str, Any]] = pq.read_table(path, columns=list(columns)).to_pylist()
    except FileNotFoundError:
        raise _missing(path, made_by) from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({error}). Run 'viker {made_by}' again.") from None
    return rows


def _need(path: Path, found: list[str], columns: tuple[str, ...], made_by: str) -> None:
    lacking = [name for name in columns if name not in found]
    if lacking:
        raise UserError(
            f"{path}: no column {', '.join(lacking)}; found {', '.join(found)}. "
            f"Another version wrote it: run 'viker {made_by}' again."
        )


def _missing(path: Path, made_by: str) -> UserError:
    return UserError(f"{path}: no such file. The stage '{made_by}' writes it: run 'viker {made_by}' first.")
