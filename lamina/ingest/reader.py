"""Files as batches of bounded size: parquet, CSV and JSON lines, by their ending.

CSV values stay text and JSON values what they are, so that one odd value costs its own row and not the file. Lines that
cannot be read at all are handed on as `unreadable` with their number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lamina.contracts.cards import starred
from lamina.errors import MappingError
from lamina.ingest import exact

BATCH_ROWS = 131_072
CSV_BLOCK_BYTES = 16 << 20
_CSV_ENDINGS, _JSON_ENDINGS, _PARQUET_ENDINGS = (".csv", ".csv.gz"), (".jsonl", ".ndjson", ".json"), (".parquet", ".pq")


@dataclass(frozen=True)
class Unreadable:
    """A line that is no row: its number in the file, counted as `Batch.numbers`, why, and its text."""

    number: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Rows of the file; `numbers` int64[rows] counts data rows from 1 (a CSV's header is not one)."""

    table: pa.Table
    numbers: NDArray[np.int64]
    unreadable: list[Unreadable] = field(default_factory=list)


def read_batches(path: Path, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """All of `path`, in order. Nested columns are flattened: `location.lat`.

    Raises: MappingError: the file is missing, or of a kind that is not read.
    """
    if not path.is_file():
        raise MappingError(f"no file {path}: give a CSV, JSON lines or parquet file")
    name = path.name.lower()
    if name.endswith(_PARQUET_ENDINGS):
        return _read_parquet(path, batch_rows)
    if name.endswith(_CSV_ENDINGS):
        return _read_csv(path)
    if name.endswith(_JSON_ENDINGS):
        return _read_json(path, batch_rows)
    raise MappingError(f"{path.name}: not a known ending; use .parquet, .csv, .csv.gz, .jsonl or .ndjson")


def rows_in(path: Path) -> int | None:
    """Rows of a parquet file by its footer; None where only reading all of it would tell."""
    return int(pq.ParquetFile(path).metadata.num_rows) if path.name.lower().endswith(_PARQUET_ENDINGS) else None


def _read_parquet(path: Path, batch_rows: int) -> Iterator[Batch]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise MappingError(f"{path.name} is not parquet: {error}") from None
    done = 0
    for record in file.iter_batches(batch_size=batch_rows):
        yield Batch(_flatten(pa.Table.from_batches([record])), np.arange(done + 1, done + record.num_rows + 1))
        done += record.num_rows


def _flatten(table: pa.Table) -> pa.Table:
    while any(pa.types.is_struct(column.type) for column in table.schema):
        table = table.flatten()
    return table


def _read_csv(path: Path) -> Iterator[Batch]:
    bad: list[Unreadable] = []

    def keep(row: Any) -> str:
        reason = f"{row.actual_columns} columns where the header has {row.expected_columns}"
        # The header is line 1; pyarrow counts lines from there.
        bad.append(Unreadable(int(row.number) - 1, reason, str(row.text)))
        return "skip"

    def open_file(**options: Any) -> Any:
        return csv.open_csv(
            str(path),
            read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES, use_threads=False),
            parse_options=csv.ParseOptions(invalid_row_handler=keep),
            convert_options=csv.ConvertOptions(strings_can_be_null=True, null_values=[""], **options),
        )

    try:
        with open_file() as probe:
            names = probe.schema.names
        bad.clear()
        reader = open_file(column_types={name: pa.string() for name in names})
    except pa.ArrowInvalid as error:
        raise MappingError(f"{path.name} cannot be read as CSV: {starred(str(error))}") from None
    seen: set[int] = set()
    next_number = 1
    with reader:
        for record in reader:
            seen |= {row.number for row in bad}
            numbers = _skipping(next_number, record.num_rows, seen)
            next_number = int(numbers[-1]) + 1 if len(numbers) else next_number
            yield Batch(pa.Table.from_batches([record]), numbers, bad.copy())
            bad.clear()
    if bad:
        yield Batch(pa.table({name: pa.array([], pa.string()) for name in names}), np.empty(0, np.int64), bad)


def _skipping(first: int, count: int, skipped: set[int]) -> NDArray[np.int64]:
    """`count` numbers from `first` on, without those in `skipped`.

    >>> _skipping(1, 3, {2}).tolist()
    [1, 3, 4]
    """
    numbers = np.arange(first, first + count + len(skipped))
    return numbers[~np.isin(numbers, list(skipped))][:count]


def _read_json(path: Path, batch_rows: int) -> Iterator[Batch]:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: list[Unreadable] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                row = exact.loads(line)
            except json.JSONDecodeError as error:
                bad.append(Unreadable(number, f"not JSON: {error}", line.decode(errors="replace").rstrip("\n")))
                continue
            if not isinstance(row, dict):
                bad.append(Unreadable(number, "not a JSON object", line.decode(errors="replace").rstrip("\n")))
                continue
            rows.append(_flat(row))
            numbers.append(number)
            if len(rows) == batch_rows:
                yield Batch(_table(rows), np.array(numbers, dtype=np.int64), bad)
                rows, numbers, bad = [], [], []
    if rows or bad:
        yield Batch(_table(rows), np.array(numbers, dtype=np.int64), bad)


def _flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = value
    return flat


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: exact.column([row.get(name) for row in rows]) for name in names})
