"""Source columns become the contract's columns, a batch at a time. What cannot be converted is a failed `Check`."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.errors import MappingError
from lamina.ingest.checks import Check, Mask, mask_of
from lamina.ingest.mapping import LabelField, LocationField, TextField, TimestampField, TransactionMapping
from lamina.ingest.times import Times, timestamps
from lamina.lake.schemas import LOCATION_TYPE

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_TRUE, _FALSE = pa.array(["1", "true", "yes", "y", "t"]), pa.array(["0", "false", "no", "n", "f"])
_HASH_DIGITS = 24


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
    columns: dict[str, Any] = {name: _text(table, field, salt) for name, field in mapping.texts.items()}
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
    """Values as text; whole numbers that a null had turned into floats lose their `.0`.

    >>> as_text(pa.array([596.0, None])).to_pylist()
    ['596', None]
    """
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        there = np.isfinite(values)
        column = pc.if_else(pa.array(there), column, pa.scalar(None, column.type))
        if (np.abs(values[there]) < 2**53).all() and (values[there] == np.floor(values[there])).all():
            column = column.cast(pa.int64())
    return column.cast(pa.string())


def _text(table: pa.Table, field: TextField, salt: str | None) -> pa.Array:
    if field.constant is not None:
        return pa.repeat(field.constant, table.num_rows)
    if field.template is not None:
        parts = [as_text(_column(table, text)) if is_column else text for text, is_column in field.pieces]
        return pc.binary_join_element_wise(*parts, "")
    assert field.column is not None  # the mapping holds exactly one of the three
    text = as_text(_column(table, field.column))
    if field.sha256:
        text = _hashed(text, salt)
    if field.prefix:
        text = pc.binary_join_element_wise(field.prefix, text, "")
    return text if field.default is None else pc.fill_null(text, field.default)


def _hashed(text: pa.Array, salt: str | None) -> pa.Array:
    """HMAC-SHA-256 of each different value, the first 24 hexadecimal digits."""
    if not salt:
        raise MappingError("the mapping hashes a column: give a secret key with --salt, and the same one every time")
    encoded = text.dictionary_encode()
    key = salt.encode()
    tokens = [hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for value in encoded.dictionary.to_pylist()]
    return pa.array([token[:_HASH_DIGITS] for token in tokens], pa.string()).take(encoded.indices)


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
    text = pc.utf8_lower(as_text(_column(table, field.column)))
    is_fraud = mask_of(pc.is_in(text, _TRUE))
    known = is_fraud | mask_of(pc.is_in(text, _FALSE)) | ~mask_of(text.is_valid())
    checks.append(Check("is_fraud", "is neither true nor false", ~known))
    if field.scenario is None:
        return is_fraud, pa.nulls(table.num_rows, pa.string())
    encoded = as_text(_column(table, field.scenario.column)).dictionary_encode()
    names = [field.scenario.names.get(value, value) for value in encoded.dictionary.to_pylist()]
    return is_fraud, pa.array(names, pa.string()).take(encoded.indices)
