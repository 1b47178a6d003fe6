"""Text fields of a mapping, a column at a time: by the rule of ids, hashed where the mapping says so."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.cards import without_separators
from lamina.contracts.ids import BLANKS, MISSING, NO_TEXT
from lamina.errors import MappingError
from lamina.ingest.fields import TextField
from lamina.lake.ids import Ids, ids_of

COUNTRIES = ("country", "user_country")
"""Fields in which `NA` is a value: Namibia."""
HASH_DIGITS = 24
Columns = Callable[[str], pa.Array]


def text_of(
    columns: Columns,
    numbers: NDArray[np.int64],
    name: str,
    field: TextField,
    salt: str | None,
    no_texts: Callable[[str], list[int]] = lambda column: [],
) -> Ids:
    """The field `name` as text; null where it is missing or refused, and why it is refused.

    Args: columns: gives a source column by its name; numbers: of the rows in the file; salt: key of hashed columns;
    no_texts: rows of a source column that hold what was no text before it stood among texts.

    Raises: MappingError: when a column is hashed and there is no salt.
    """
    rows = len(numbers)
    if field.constant is not None:
        return Ids(pa.repeat(field.constant, rows), np.full(rows, None, dtype=object))
    if field.row_number:
        text = pc.binary_join_element_wise(field.prefix, pa.array(numbers, pa.int64()).cast(pa.string()), "")
        return Ids(text, np.full(rows, None, dtype=object))

    def read(column: str) -> Ids:
        found = (_country if name in COUNTRIES else ids_of)(columns(column))
        return _without(found, no_texts(column))

    if field.template is not None:
        parts = {column: _with_default(read(column), field.default) for column in field.columns}
        return _filled(field, parts, rows)
    assert field.column is not None  # the mapping holds exactly one of the three
    texts, reasons = read(field.column)
    if field.values:
        texts = _named(texts, field)
    if field.sha256:
        texts = _hashed(texts, salt)
    if field.prefix:
        texts = pc.binary_join_element_wise(field.prefix, texts, "")
    return _with_default(Ids(texts, reasons), field.default)


def _without(ids: Ids, rows: list[int]) -> Ids:
    """`ids` with those of `rows` refused."""
    if not rows:
        return ids
    refused, reasons = np.zeros(len(ids.reasons), np.bool_), ids.reasons.copy()
    refused[rows], reasons[rows] = True, NO_TEXT
    return Ids(pc.if_else(pa.array(refused), None, ids.texts), reasons)


def _with_default(ids: Ids, default: str | None) -> Ids:
    if default is None:
        return ids
    missing, reasons = ids.reasons == MISSING, ids.reasons.copy()
    reasons[missing] = None
    return Ids(pc.if_else(pa.array(missing), default, ids.texts), reasons)


def _named(text: pa.Array, field: TextField) -> pa.Array:
    """Each different value by what the mapping calls it; null stays null."""
    encoded = text.dictionary_encode()
    names = [
        field.values.get(value, value if field.otherwise is None else field.otherwise)
        for value in encoded.dictionary.to_pylist()
    ]
    return pa.array(names, pa.string()).take(encoded.indices)


def _country(column: pa.Array) -> Ids:
    text = pc.utf8_trim(column.cast(pa.string()), characters=BLANKS)
    reasons = np.full(len(text), None, dtype=object)
    reasons[np.asarray(pc.fill_null(pc.equal(text, ""), True).to_numpy(zero_copy_only=False), dtype=np.bool_)] = MISSING
    return Ids(text, reasons)


def _filled(field: TextField, parts: dict[str, Ids], rows: int) -> Ids:
    reasons: NDArray[np.object_] = np.full(rows, None, dtype=object)
    for part in parts.values():
        reasons = np.where(part.reasons == None, reasons, part.reasons)  # noqa: E711 - elementwise
    pieces: list[Any] = [parts[text].texts if is_column else text for text, is_column in field.pieces]
    return Ids(pc.binary_join_element_wise(*pieces, ""), reasons)


def _hashed(text: pa.Array, salt: str | None) -> pa.Array:
    """HMAC-SHA-256 of each different value, its first 24 digits; all spellings of a card number are one value."""
    if not salt:
        raise MappingError("the mapping hashes a column: give a secret key with --salt, and the same one every time")
    encoded = text.dictionary_encode()
    key = salt.encode()
    values = (without_separators(value) for value in encoded.dictionary.to_pylist())
    tokens = [hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:HASH_DIGITS] for value in values]
    return pa.array(tokens, pa.string()).take(encoded.indices)
