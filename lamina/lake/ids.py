"""The rule of ids on whole columns: what `lamina.contracts.ids` says of a value, a hundred times faster. Hot path."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.ids import BLANKS, EXACT_BELOW, MISSING, NOTHING, SCIENTIFIC, WHOLE, id_of

_EXACT_BELOW = {16: 2**11, 32: 2**24, 64: EXACT_BELOW}
# Texts that the rule says something about; all others are ids as they stand.
_LITERAL = r"\.+*?()|[]{}^$#-<>/"
_ESCAPED = "|".join("".join("\\" + c if c in _LITERAL else c for c in text) for text in sorted(NOTHING))
_SUSPECT = rf"^[{BLANKS}]|[{BLANKS}]$|^(?i:{_ESCAPED})$|^(?:{WHOLE}|{SCIENTIFIC})$"


SAMPLE = 4096
"""Rows by which it is told whether the ids of a column repeat."""


class Ids(NamedTuple):
    """Ids of a column, string[rows], null where it has none; and why: object[rows], a reason or None."""

    texts: pa.Array
    reasons: NDArray[np.object_]


def ids_of(column: pa.Array | pa.ChunkedArray) -> Ids:
    """The ids that a column of any type says.

    >>> ids_of(pa.array([596.0, None, 2.0**53])).texts.to_pylist()
    ['596', None, None]
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind):
        return _whole(column)
    if pa.types.is_floating(kind):
        return _floats(column, _EXACT_BELOW[kind.bit_width])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _texts(column.cast(pa.string()))
    return _each(column, id_of)


def _whole(column: pa.Array) -> Ids:
    return Ids(column.cast(pa.string()), _missing(column))


def _missing(column: pa.Array) -> NDArray[np.object_]:
    reasons = np.full(len(column), None, dtype=object)
    if column.null_count:
        reasons[np.asarray(column.is_null().to_numpy(zero_copy_only=False))] = MISSING
    return reasons


def _floats(column: pa.Array, exact_below: int) -> Ids:
    wide = column.cast(pa.float64())
    values = wide.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        # A null is NaN here, and equal to nothing.
        plain = (np.abs(values) < exact_below) & (values == np.floor(values))
    there = ~np.isnan(values)
    if plain[there].all():
        return _whole(pa.array(np.where(plain, values, 0).astype(np.int64), mask=~plain))
    return _each(wide, lambda value: id_of(value, exact_below))


def _texts(column: pa.Array) -> Ids:
    """Only what the rule speaks of is looked at one by one, each different value once."""
    if len(column) > SAMPLE and pc.count_distinct(column.slice(0, SAMPLE)).as_py() < SAMPLE // 4:
        # Ids that come again and again: each is looked at once.
        encoded = column.dictionary_encode()
        texts, reasons = _looked_at(encoded.dictionary)
        if all(reason is None for reason in reasons) and texts is encoded.dictionary:
            return Ids(column, _missing(column))
        places = pc.fill_null(encoded.indices, len(reasons)).to_numpy()
        return Ids(texts.take(encoded.indices), np.append(reasons, MISSING)[places])
    return _looked_at(column)


def _looked_at(column: pa.Array) -> Ids:
    reasons = _missing(column)
    suspect = np.asarray(
        pc.fill_null(pc.match_substring_regex(column, _SUSPECT), False).to_numpy(zero_copy_only=False), dtype=np.bool_
    )
    if not suspect.any():
        return Ids(column, reasons)
    found = _each(column.filter(pa.array(suspect)), id_of)
    reasons[suspect] = found.reasons
    return Ids(pc.replace_with_mask(column, pa.array(suspect), found.texts), reasons)


def _each(column: pa.Array, rule: Callable[[object], str]) -> Ids:
    known: dict[object, tuple[str | None, str | None]] = {}
    found = []
    for value in column.to_pylist():
        if isinstance(value, list | dict):  # neither has a hash, nor is an id
            found.append(_judged(value, rule))
            continue
        if value not in known:
            known[value] = _judged(value, rule)
        found.append(known[value])
    texts, reasons = [text for text, _ in found], np.full(len(found), None, dtype=object)
    reasons[:] = [reason for _, reason in found]
    return Ids(pa.array(texts, pa.string()), reasons)


def _judged(value: object, rule: Callable[[object], str]) -> tuple[str | None, str | None]:
    try:
        return rule(value), None
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except ValueError as error:
        return None, str(error)
