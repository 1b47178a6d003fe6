"""JSON without rounding: integers of any length, and columns whose values do not change each other's type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from lamina.contracts.ids import EXACT_BELOW

_NO_TEXTS = b"no texts"
_INFINITE = (float("inf"), float("-inf"))
# orjson reads an integer of more than 64 bits as a float.
_LONG = re.compile(rb"[0-9]{19}")


def loads(line: bytes) -> Any:
    """The JSON value of `line`.

    Raises: json.JSONDecodeError: when it is none.

    >>> loads(b"[18446744073709551617, 1.5]")
    [18446744073709551617, 1.5]
    """
    value = orjson.loads(line)
    if _LONG.search(line) is None:
        return value
    try:
        return json.loads(line)
    except ValueError:  # thousands of digits, which Python refuses to read: no id is so long
        return value


def column(values: list[Any]) -> pa.Array:
    """Values as a column; a mixture of types becomes text, each value as it was written, so that each is judged alone.

    >>> column([1.5, True]).to_pylist()
    ['1.5', 'true']
    >>> column([9007199254740993, 1.5, "u1"]).to_pylist()
    ['9007199254740993', '1.5', 'u1']
    """
    kinds = {type(value) for value in values}
    # Among fractions Arrow takes a truth value for 1.
    truths = bool in kinds and not kinds <= {bool, type(None)}
    if not truths and not (
        {int, float} <= kinds and any(type(value) is int and abs(value) >= EXACT_BELOW for value in values)
    ):
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass
    return pa.array([_text(value) for value in values], pa.string())


def table(columns: Mapping[str, list[Any]]) -> pa.Table:
    """Columns as a table that remembers which values became text and are none: `no_texts`.

    >>> no_texts(table({"id": ["u1", True, [7]], "n": [1, 2, 3]}), "id")
    [1, 2]
    """
    arrays = {name: column(values) for name, values in columns.items()}
    fields = [
        pa.field(name, array.type, metadata={_NO_TEXTS: json.dumps(_odd(columns[name], array))})
        for name, array in arrays.items()
    ]
    return pa.table(list(arrays.values()), schema=pa.schema(fields))


def no_texts(found: pa.Table, name: str) -> list[int]:
    """Rows of a column of `table` with a truth value, a list or an infinite number among values of other types: alone
    in their column no id could be read from them.
    """
    kept: list[int] = json.loads((found.schema.field(name).metadata or {}).get(_NO_TEXTS, b"[]"))
    return kept


def _odd(values: list[Any], array: pa.Array) -> list[int]:
    if not pa.types.is_string(array.type):
        return []
    return [place for place, value in enumerate(values) if isinstance(value, bool | list) or value in _INFINITE]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and abs(value) >= EXACT_BELOW:
        return f"{value:.16e}"  # scientific, which no id is
    return orjson.dumps(value).decode()
