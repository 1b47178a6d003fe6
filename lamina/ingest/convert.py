"""Source columns become the contract's columns, a batch at a time. What cannot be converted is a failed `Check`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.transactions import TRANSACTIONS
from lamina.errors import MappingError
from lamina.ingest.checks import Check, Mask, mask_of
from lamina.ingest.exact import no_texts
from lamina.ingest.fields import LabelField, TimestampField
from lamina.ingest.labels import fraud_of
from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.numbers import numbers
from lamina.ingest.texts import text_of
from lamina.ingest.times import Times, timestamps
from lamina.lake.ids import ids_of
from lamina.lake.schemas import SCHEMAS


class ColumnError(MappingError):
    """A column of a type that its field cannot be read from."""


@dataclass(frozen=True)
class Converted:
    """A batch in the contract's columns (null where conversion failed), its labels, the failed conversions,
    and what was decided for rows that are taken.
    """

    events: pa.Table
    is_fraud: Mask
    scenario: pa.Array
    checks: list[Check]
    notes: list[Check] = field(default_factory=list)


def convert(
    table: pa.Table, mapping: TransactionMapping, salt: str | None, numbers_of_rows: NDArray[np.int64]
) -> Converted:
    """`table` as `mapping` says. `salt` is the key of hashed columns.

    Raises: ColumnError: names the field, its column and the column's type.
    """
    checks: list[Check] = []
    columns: dict[str, Any] = {}
    for name, text in mapping.texts.items():
        with _reading(table, name, text.columns):
            columns[name], reasons = text_of(
                lambda column: _column(table, column), numbers_of_rows, name, text, salt, partial(no_texts, table)
            )
        checks += [Check(name, reason, reasons == reason) for reason in set(reasons.tolist()) - {None}]
    with _reading(table, "amount", [mapping.amount.column]):
        amount = numbers(_column(table, mapping.amount.column), "amount", checks, mapping.file)
    columns["amount"] = amount if mapping.amount.divisor == 1 else pc.divide(amount, mapping.amount.divisor)
    columns["location"] = _location(table, mapping, checks)
    with _reading(table, "timestamp", mapping.timestamp.columns):
        times = _timestamp(table, mapping.timestamp)
    columns["timestamp"] = times.at_ms
    checks += times.checks
    with _reading(table, "label", mapping.label.columns if mapping.label else []):
        is_fraud, scenario = _labels(table, mapping.label, checks)
    return Converted(pa.table(columns), is_fraud, scenario, checks, times.notes)


@contextmanager
def _reading(table: pa.Table, field: str, columns: list[str]) -> Iterator[None]:
    """What Arrow raises names neither file nor column, and may hold a value that nobody may see."""
    try:
        yield
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        kinds = ", ".join(f"{name!r} ({table.schema.field(name).type})" for name in columns)
        raise ColumnError(f"{field} cannot be read from {kinds}: write it as text, or map another column") from None


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def as_text(column: pa.Array) -> pa.Array:
    """Values as text; floats that are whole numbers, each by itself, lose their `.0`.

    >>> as_text(pa.array([596.0, None, 7.5])).to_pylist()
    ['596', None, '7.5']
    """
    return ids_of(column).texts if pa.types.is_floating(column.type) else column.cast(pa.string())


def _location(table: pa.Table, mapping: TransactionMapping, checks: list[Check]) -> pa.Array:
    field = mapping.location
    if field is None:
        return _places([pa.repeat(0.0, table.num_rows)] * 2, np.ones(table.num_rows, dtype=np.bool_))
    parts = []
    for part, name in (("lat", field.lat), ("lon", field.lon)):
        parts.append(numbers(_column(table, name), f"location.{part}", checks, mapping.file))
    missing = [~mask_of(part.is_valid()) for part in parts]
    checks.append(Check("location.lat", "is missing", missing[0] & ~missing[1]))
    checks.append(Check("location.lon", "is missing", missing[1] & ~missing[0]))
    return _places([pc.fill_null(part, 0.0) for part in parts], missing[0] | missing[1])


def _places(parts: list[pa.Array], missing: Mask) -> pa.Array:
    return pa.StructArray.from_arrays(
        parts, fields=list(SCHEMAS[TRANSACTIONS].field("location").type), mask=pa.array(missing)
    )


def _timestamp(table: pa.Table, field: TimestampField) -> Times:
    columns = [_column(table, name) for name in field.columns]
    return timestamps(columns, [as_text(column) for column in columns], field)


def _labels(table: pa.Table, field: LabelField | None, checks: list[Check]) -> tuple[Mask, pa.Array]:
    """Which rows are fraud (an empty label is none) and how it was done."""
    if field is None:
        return np.zeros(table.num_rows, dtype=np.bool_), pa.nulls(table.num_rows, pa.string())
    is_fraud = fraud_of(_column(table, field.column), field, checks)
    if field.scenario is None:
        return is_fraud, pa.nulls(table.num_rows, pa.string())
    encoded = ids_of(_column(table, field.scenario.column)).texts.dictionary_encode()
    names = [field.scenario.names.get(value, value) for value in encoded.dictionary.to_pylist()]
    return is_fraud, pa.array(names, pa.string()).take(encoded.indices)
