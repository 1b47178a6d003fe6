"""Frames as callers give them, brought into the form that features need: ids as text, times in ms, NaN as null.

What cannot be exact is refused, never guessed at: the message names the column, how many rows, and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.contracts.cards import starred
from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, PER_SECOND, epoch_units, rounded_ms
from lamina.contracts.features import EventSource
from lamina.contracts.ids import EXACT_BELOW, MISSING, NOTHING, id_of
from lamina.errors import FrameError
from lamina.lake.ids import ids_of

if TYPE_CHECKING:
    import duckdb

Frame = Any
"""A pandas, polars or Arrow table, a list of dicts, or the path of parquet files (a file, a folder or a pattern)."""

_US_PER_S = 10**6
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_OFFSET = r"[Tt ].*(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)$"


@dataclass(frozen=True)
class Given:
    """A frame's `table`, its times in epoch ms, and its ids as text, by column."""

    table: pa.Table
    ids: Mapping[str, pa.Array]


def table_of(con: duckdb.DuckDBPyConnection, name: str, frame: Frame, columns: Sequence[str] | None = None) -> pa.Table:
    """`frame` as an Arrow table.

    Args: name: of the frame in messages; columns: those wanted, as far as there are any of them; all without it.

    Raises: FrameError: when it is no table, or two of its columns differ by case alone.
    """
    import duckdb

    try:
        found = _read(con, frame, columns)
    except (duckdb.Error, pa.ArrowException, RuntimeError, ValueError, TypeError) as error:
        raise FrameError(f"{name}: neither a table nor the path of parquet files: {starred(str(error))}") from error
    alike = [n for n, times in Counter(str(c).lower() for c in found.column_names).items() if times > 1]
    if alike:
        both = sorted(c for c in found.column_names if c.lower() in alike)
        raise FrameError(f"{name}: columns {both} differ by case alone or not at all: rename or drop all but one")
    return found


def _read(con: duckdb.DuckDBPyConnection, frame: Frame, columns: Sequence[str] | None) -> pa.Table:
    import pandas as pd

    if isinstance(frame, pa.Table):
        return frame if columns is None else frame.select([c for c in frame.column_names if c in columns])
    if isinstance(frame, pd.DataFrame):
        part = frame if columns is None else frame[[c for c in frame.columns if c in columns]]
        try:
            table = pa.Table.from_pandas(part, preserve_index=False)
            for place, kind in enumerate(part.dtypes):
                if pd.api.types.is_object_dtype(kind):
                    _check_truths(table.column(place).type, part.iloc[:, place], part.columns[place])
            return table
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return pa.Table.from_pandas(part.apply(_one_type), preserve_index=False)
    if isinstance(frame, list):
        # Of a list Arrow itself takes the columns of the first row.
        names = dict.fromkeys(name for row in frame for name in row)
        return pa.table({name: _named(name, [row.get(name) for row in frame]) for name in names})
    if hasattr(frame, "to_arrow"):
        return _read(con, frame.to_arrow(), columns)
    if isinstance(frame, str | Path):
        relation = con.read_parquet(_pattern(str(frame)), hive_partitioning=False)
    else:
        con.register("given", frame)
        relation = con.table("given")
    wanted = [c for c in relation.columns if columns is None or c in columns]
    return relation.select(*(_column(c) for c in wanted)).to_arrow_table()


def _one_type(column: Any) -> Any:
    return _named(column.name, column.tolist()).to_pandas() if column.dtype == object else column


def _named(name: object, values: list[Any]) -> pa.Array:
    """`_values`, its errors with the column's name."""
    try:
        return _values(values)
    except TypeError as error:
        raise TypeError(f"column {name!r}: {error}") from None


def _values(values: list[Any]) -> pa.Array:
    """Values as Arrow has them; whole numbers beside texts, and those too long for a number, as the texts they are.

    Raises: TypeError: a value among others of another type has no text that is exact.
    """
    try:
        found = pa.array(values, from_pandas=True)
        _check_truths(found.type, values)
        return found
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([_text(value) for value in values], pa.string())


def _check_truths(kind: pa.DataType, values: Iterable[object], name: object = None) -> None:
    """Raise: TypeError: among fractions Arrow takes a truth value for 1."""
    if pa.types.is_floating(kind) and any(isinstance(value, bool | np.bool_) for value in values):
        raise TypeError(f"{'' if name is None else f'column {name!r}: '}a truth value stands among numbers")


def _text(value: object) -> str | None:
    try:
        return id_of(value.item() if isinstance(value, np.generic) else value)
    except ValueError as error:
        if str(error) == MISSING:
            return None
        raise TypeError(f"one of several values of different types {error}") from None


def _column(name: str) -> Any:
    import duckdb

    return duckdb.ColumnExpression(name)


def _pattern(path: str) -> str:
    return f"{path.rstrip('/')}/**/*.parquet" if Path(path).is_dir() else path


def with_ids_and_times(
    name: str, table: pa.Table, ids: Iterable[str], times: Iterable[str], missing: Callable[[int, str], str]
) -> Given:
    """`table` with its columns `times` in epoch ms, and the ids of its columns `ids`; columns it lacks are left out.

    Args: missing: what to say when so many rows have nothing in a column.

    Raises: FrameError: when a row lacks an id or a time, or has one that cannot be exact.
    """
    found = {}
    for column in dict.fromkeys(ids):
        if column not in table.column_names:
            continue
        texts, reasons = ids_of(table[column])
        counted = Counter(reasons[reasons != None].tolist())  # noqa: E711 - elementwise
        if empty := counted.pop(MISSING, 0):
            raise FrameError(missing(empty, column))
        for reason, n in counted.items():
            raise FrameError(f"{name}: {column!r} of {n} of {len(table)} rows {reason}")
        found[column] = texts
    for timestamp in dict.fromkeys(times):
        if timestamp not in table.column_names:
            continue
        given = table[timestamp]
        at_ms = _epoch_ms(name, timestamp, given)
        if empty := at_ms.null_count:
            raise FrameError(missing(empty, timestamp))
        if at_ms is not given:
            table = table.set_column(table.column_names.index(timestamp), timestamp, at_ms)
    return Given(table, found)


def times_of(source: EventSource) -> list[str]:
    """The columns of a source that are times."""
    return [source.timestamp, *([source.revisions.known] if source.revisions else [])]


def typed(name: str, found: Given, source: EventSource) -> pa.Table:
    """The table of `found` with its ids as text, and other columns of `source` in the types that it says.

    Raises: FrameError: when a value has no exact one.
    """
    table = found.table
    for place, column in enumerate(table.column_names):
        if column in found.ids:
            table = table.set_column(place, column, found.ids[column])
        elif column in source.columns and column not in times_of(source):
            table = table.set_column(place, column, _in_type(name, table[column], column, source.columns[column]))
    return table


def _in_type(name: str, given: pa.ChunkedArray, column: str, kind: str) -> pa.ChunkedArray | pa.Array:
    """A column in its declared type; a missing value, or a file format, may have turned its integers into floats."""
    numeric = pa.types.is_floating(given.type) or pa.types.is_decimal(given.type)
    if kind == "string" and (numeric or pa.types.is_integer(given.type)):
        texts, reasons = ids_of(given)
        if wrong := [reason for reason in reasons.tolist() if reason not in (None, MISSING)]:
            raise FrameError(f"{name}: {column!r} of {len(wrong)} of {len(given)} rows {wrong[0]}")
        return texts
    if kind == "double" and pa.types.is_boolean(given.type):
        raise FrameError(f"{name}: {column!r} holds truth values, which are no numbers")
    if kind == "double" and (pa.types.is_string(given.type) or pa.types.is_large_string(given.type)):
        return _number(name, given, column)
    if (kind == "long" and numeric) or (kind == "boolean" and (numeric or pa.types.is_integer(given.type))):
        values = given.cast(pa.float64(), safe=False).to_numpy()
        there = ~np.isnan(values)
        top = EXACT_BELOW if kind == "long" else 2
        fits = (values == np.floor(values)) & (np.abs(values) < top) & ((values >= 0) | (kind == "long"))
        if wrong_n := int((there & ~fits).sum()):
            what = "a whole number" if kind == "long" else "true, false, 1 or 0"
            raise FrameError(f"{name}: {column!r} of {wrong_n} of {len(given)} rows is not {what}")
        whole = pa.array(np.where(there, values, 0).astype(np.int64), mask=~there)
        return whole if kind == "long" else whole.cast(pa.bool_())
    return given


def _number(name: str, given: pa.ChunkedArray, column: str) -> pa.ChunkedArray:
    """Texts as the numbers that they say."""
    texts = pc.utf8_trim_whitespace(given)
    texts = pc.if_else(pc.is_in(pc.utf8_lower(texts), pa.array(sorted(NOTHING), texts.type)), None, texts)
    wrong = pc.sum(pc.invert(pc.match_substring_regex(texts, _NUMBER))).as_py()
    if wrong:
        raise FrameError(f"{name}: {column!r} of {wrong} of {len(given)} rows is not a number")
    return texts.cast(pa.float64())


def _epoch_ms(name: str, column: str, given: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Times as int64 epoch ms, null where there is none."""
    kind = given.type
    if pa.types.is_dictionary(kind):
        return _epoch_ms(name, column, given.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _of_texts(name, column, given)
    if pa.types.is_timestamp(kind):
        return _of_timestamps(given)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(name, column, given)
    if pa.types.is_null(kind):
        return pa.nulls(len(given), pa.int64())
    raise FrameError(
        f"{name}: {column!r} holds {kind}, which is no moment: give a date and time, ISO-8601 text or "
        "epoch milliseconds"
    )


def _of_timestamps(given: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Those without a zone are UTC."""
    per_s = PER_SECOND[given.type.unit]
    numbers = given.cast(pa.int64())
    if per_s == 1000:
        return numbers
    there = numbers.is_valid().to_numpy()
    values = pc.fill_null(numbers, 0).to_numpy()
    at_us = values * (_US_PER_S // per_s) if per_s <= _US_PER_S else values // (per_s // _US_PER_S)
    return pa.array(rounded_ms(at_us), mask=~there)


def _of_numbers(name: str, column: str, given: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_integer(given.type) and len(given):
        ends = pc.min_max(given).as_py()
        if ends["min"] is not None and MIN_TIMESTAMP_MS <= ends["min"] <= ends["max"] <= MAX_TIMESTAMP_MS:
            return given.cast(pa.int64())
    values = given.cast(pa.float64(), safe=False).to_numpy()
    there = ~np.isnan(values)
    units = epoch_units(values)
    if unknown := int(there.sum() - np.count_nonzero(units)):
        raise FrameError(
            f"{name}: {column!r} of {unknown} of {len(given)} rows is no time: give epoch milliseconds of the years "
            "2000 to 2100, a date and time, or ISO-8601 text"
        )
    scale = np.array([1000 / PER_SECOND[unit] if unit else 0.0 for unit in units])
    return pa.array(np.floor(np.where(there, values, 0.0) * scale + 0.5).astype(np.int64), mask=~there)


def _of_texts(name: str, column: str, given: pa.ChunkedArray) -> pa.Array:
    """ISO-8601; those without an offset are UTC."""
    import pandas as pd

    texts = ids_of(given).texts  # without blanks and words for nothing
    written = pd.Series(texts.to_pylist(), dtype=object)
    zoned = pc.fill_null(pc.match_substring_regex(texts, _OFFSET), False).to_numpy(zero_copy_only=False)
    # Apart: pandas reads a text without an offset in that of the text before it.
    times = pd.concat([
        pd.to_datetime(written[part], format="ISO8601", errors="coerce", utc=True) for part in (zoned, ~zoned)
    ]).sort_index()  # fmt: skip
    # Digits alone pass for a year and more.
    digits = pc.fill_null(pc.match_substring_regex(texts, r"^[0-9.]+$"), False).to_numpy(zero_copy_only=False)
    bad = (times.isna().to_numpy() & texts.is_valid().to_numpy(zero_copy_only=False)) | digits.astype(np.bool_)
    if bad.any():
        raise FrameError(
            f"{name}: {column!r} of {int(bad.sum())} of {len(given)} rows is no ISO-8601 time, such as "
            "2018-08-08T12:00:00Z: give one, a date and time, or epoch milliseconds as numbers"
        )
    at_us = times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    return pa.array(rounded_ms(at_us), mask=times.isna().to_numpy())
