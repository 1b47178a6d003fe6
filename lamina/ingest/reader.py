"""Files as batches of bounded size: parquet, CSV and JSON, by their ending or as the mapping says.

CSV values stay text and JSON values what they are, so that one odd value costs its own row and not the file. Lines that
cannot be read at all are handed on as `unreadable` with their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.errors import MappingError
from lamina.ingest.batches import Batch, Unreadable
from lamina.ingest.csv_rows import csv_batches
from lamina.ingest.file_format import FileFormat
from lamina.ingest.json_rows import json_batches

__all__ = ["Batch", "Unreadable", "kind_of", "read_batches", "rows_in"]

BATCH_ROWS = 131_072
_ENDINGS = {
    "csv": (".csv", ".tsv", ".psv"),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}

# Arrow computes little on views; other programs write them.
_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def kind_of(path: Path, file: FileFormat) -> str:
    """`csv`, `json` or `parquet`.

    Raises: MappingError: neither the file's ending nor the mapping says.
    """
    name = path.name.lower().removesuffix(".gz")
    kind: str | None = file.kind or next((kind for kind, endings in _ENDINGS.items() if name.endswith(endings)), None)
    if kind is None:
        raise MappingError(
            f"{path.name}: not a known ending; use .parquet, .csv, .tsv, .jsonl, .ndjson or .json, packed as .gz or "
            "not, or say file: {kind: csv} in the mapping"
        )
    return kind


def read_batches(
    path: Path, file: FileFormat | None = None, wanted: Sequence[str] = (), batch_rows: int = BATCH_ROWS
) -> Iterator[Batch]:
    """All of `path`, in order. Nested columns are flattened: `location.lat`.

    Args: file: how it is written; wanted: columns by which a CSV's separator is known where `file` does not say.

    Raises: MappingError: the file is missing, of a kind that is not read, or cannot be read.
    """
    file = file or FileFormat()
    if not path.is_file():
        raise MappingError(f"no file {path}: give a CSV, JSON or parquet file")
    kind = kind_of(path, file)
    if kind == "parquet":
        return _read_parquet(path, batch_rows)
    if kind == "csv":
        return csv_batches(path, file.separator, file.encoding, file.columns, wanted)
    return json_batches(path, batch_rows, file.encoding)


def rows_in(path: Path) -> int | None:
    """Rows of a parquet file by its footer; None where only reading all of it would tell."""
    if not path.name.lower().endswith(_ENDINGS["parquet"]):
        return None
    return int(_parquet(path).metadata.num_rows)


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise MappingError(f"{path.name} is not parquet, or not all of it: {_line(error)}. Fetch it again") from None


def _read_parquet(path: Path, batch_rows: int) -> Iterator[Batch]:
    file = _parquet(path)
    done = 0
    try:
        for record in file.iter_batches(batch_size=batch_rows):
            numbers = np.arange(done + 1, done + record.num_rows + 1)
            yield Batch(_flatten(pa.Table.from_batches([record])), numbers, numbers, record.num_rows)
            done += record.num_rows
    except (pa.ArrowException, OSError) as error:
        raise MappingError(f"{path.name}, after row {done:,}: {_line(error)}. Fetch the file again") from None
    if not done:
        yield Batch(_flatten(file.schema_arrow.empty_table()), np.empty(0, np.int64), np.empty(0, np.int64), 0)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _flatten(table: pa.Table) -> pa.Table:
    while any(pa.types.is_struct(column.type) for column in table.schema):
        table = table.flatten()
    for place, column in enumerate(table.columns):
        kind = _VIEWS.get(column.type, column.type)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            kind = pa.string() if _is_utf8(column) else kind
        if kind != column.type:
            table = table.set_column(place, table.column_names[place], column.cast(kind))
    return table


def _is_utf8(column: pa.ChunkedArray) -> bool:
    try:
        column.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
