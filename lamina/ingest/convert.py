"""Source columns become the contract's columns, a batch at a time. What cannot be converted is a failed `Check`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.contracts.ids import MISSING
from lamina.ingest.checks import Check, Mask, mask_of
from lamina.ingest.mapping import LabelField, LocationField, TimestampField, TransactionMapping
from lamina.ingest.texts import text_of
from lamina.ingest.times import Times, timestamps
from lamina.lake.ids import ids_of
from lamina.lake.schemas import LOCATION_TYPE

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_TRUE, _FALSE = pa.array(["1", "true", "yes", "y", "t"]), pa.array(["0", "false", "no", "n", "f"])


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


def convert(table: pa.Table, mapping: TransactionMapping, salt: str | None) -> Converted:
    """`table` as `mapping` says. `salt` is the key of hashed columns."""
    checks: list[Check] = []
    columns: dict[str, Any] = {}
    for name, text in mapping.texts.items():
        columns[name], reasons = text_of(lambda column: _column(table, column), table.num_rows, name, text, salt)
        checks += [Check(name, reason, reasons == reason) for reason in set(reasons.tolist()) - {None}]
    amount = _numbers(_column(table, mapping.amount.column), "amount", checks)
    columns["amount"] = amount if mapping.amount.divisor == 1 else pc.divide(amount, mapping.amount.divisor)
    columns["location"] = _location(table, mapping.location, checks)
    times = _timestamp(table, mapping.timestamp)
    columns["timestamp"] = times.at_ms
    checks += times.checks
    is_fraud, scenario = _labels(table, mapping.label, checks)
    return Converted(pa.table(columns), is_fraud, scenario, checks, times.notes)


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


def _numbers(column: pa.Array, field: str, checks: list[Check]) -> pa.Array:
    """float64 values; text that is no number becomes null and fails a check."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        good = mask_of(pc.match_substring_regex(column, _NUMBER))
        checks.append(Check(field, "is not a number", ~good & mask_of(column.is_valid())))
        return pc.if_else(pa.array(good), pc.utf8_trim_whitespace(column), None).cast(pa.float64())
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        checks.append(Check(field, "is not a number", mask_of(column.is_valid())))
        return pa.nulls(len(column), pa.float64())
    return column.cast(pa.float64(), safe=False)


def _location(table: pa.Table, field: LocationField | None, checks: list[Check]) -> pa.Array:
    if field is None:
        return _places([pa.repeat(0.0, table.num_rows)] * 2, np.ones(table.num_rows, dtype=np.bool_))
    parts = []
    for part, name in (("lat", field.lat), ("lon", field.lon)):
        number = _numbers(_column(table, name), f"location.{part}", checks)
        # A float column written by pandas has NaN for nothing.
        parts.append(pc.if_else(pc.is_nan(number), None, number))
    missing = [~mask_of(part.is_valid()) for part in parts]
    checks.append(Check("location.lat", "is missing", missing[0] & ~missing[1]))
    checks.append(Check("location.lon", "is missing", missing[1] & ~missing[0]))
    return _places([pc.fill_null(part, 0.0) for part in parts], missing[0] | missing[1])


def _places(parts: list[pa.Array], missing: Mask) -> pa.Array:
    return pa.StructArray.from_arrays(parts, fields=list(LOCATION_TYPE), mask=pa.array(missing))


def _timestamp(table: pa.Table, field: TimestampField) -> Times:
    columns = [_column(table, name) for name in field.columns]
    return timestamps(columns, [as_text(column) for column in columns], field)


def _labels(table: pa.Table, field: LabelField | None, checks: list[Check]) -> tuple[Mask, pa.Array]:
    """Which rows are fraud (an empty label is none) and how it was done."""
    if field is None:
        return np.zeros(table.num_rows, dtype=np.bool_), pa.nulls(table.num_rows, pa.string())
    column = _column(table, field.column)
    said = ids_of(column.cast(pa.string()) if pa.types.is_boolean(column.type) else column)
    text = pc.utf8_lower(said.texts)
    is_fraud = mask_of(pc.is_in(text, _TRUE))
    known = is_fraud | mask_of(pc.is_in(text, _FALSE)) | (said.reasons == MISSING)
    checks.append(Check("is_fraud", "is neither true nor false", ~known))
    if field.scenario is None:
        return is_fraud, pa.nulls(table.num_rows, pa.string())
    encoded = ids_of(_column(table, field.scenario.column)).texts.dictionary_encode()
    names = [field.scenario.names.get(value, value) for value in encoded.dictionary.to_pylist()]
    return is_fraud, pa.array(names, pa.string()).take(encoded.indices)
