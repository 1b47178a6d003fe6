"""Numbers of a file: of any numeric type, or texts with the mapping's signs. NaN is no value."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from lamina.ingest.checks import Check, is_text, mask_of, something
from lamina.ingest.file_format import FileFormat

_NO_NUMBER = "is not a number"
_OTHER_SIGNS = "is a number in other signs: say decimal and thousands in the mapping's file"
_ANY_SIGNS = r"^\s*[+-]?\d[\d.,'_\s\x{a0}\x{202f}]*\s*$"
# A space between digits is often one that does not break.
_SPACES = r"[ \x{a0}\x{202f}]"


def numbers(column: pa.Array, field: str, checks: list[Check], file: FileFormat) -> pa.Array:
    """float64 values, null where there is none; what is no number fails a check."""
    if is_text(column):
        return _of_text(column, field, checks, file)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        found = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(found), None, found)
    checks.append(Check(field, _NO_NUMBER, mask_of(column.is_valid())))
    return pa.nulls(len(column), pa.float64())


def _of_text(column: pa.Array, field: str, checks: list[Check], file: FileFormat) -> pa.Array:
    trimmed = something(column)
    there = mask_of(trimmed.is_valid())
    good = mask_of(pc.match_substring_regex(trimmed, _pattern(file)))
    signs = ~good & there & mask_of(pc.match_substring_regex(trimmed, _ANY_SIGNS))
    checks.append(Check(field, _OTHER_SIGNS, signs))
    checks.append(Check(field, _NO_NUMBER, ~good & there & ~signs))
    plain = pc.if_else(pa.array(good), trimmed, None)
    if file.thousands is not None:
        plain = pc.replace_substring_regex(plain, _group_sign(file), "")
    if file.decimal != ".":
        plain = pc.replace_substring(plain, file.decimal, ".")
    return plain.cast(pa.float64())


def _group_sign(file: FileFormat) -> str:
    return _SPACES if file.thousands == " " else re.escape(file.thousands or "")


def _pattern(file: FileFormat) -> str:
    """Digits, in groups of three where the mapping says what groups them, and a fraction."""
    whole = r"\d+" if file.thousands is None else rf"(?:\d{{1,3}}(?:{_group_sign(file)}\d{{3}})+|\d+)"
    sign = re.escape(file.decimal)
    return rf"^[+-]?(?:{whole}(?:{sign}\d*)?|{sign}\d+)(?:[eE][+-]?\d+)?$"
