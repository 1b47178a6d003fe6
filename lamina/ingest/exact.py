"""JSON without rounding: integers of any length, and columns whose values do not change each other's type."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pyarrow as pa

from lamina.contracts.ids import EXACT_BELOW

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


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and abs(value) >= EXACT_BELOW:
        return f"{value:.16e}"  # scientific, which no id is
    return orjson.dumps(value).decode()
