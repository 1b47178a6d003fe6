"""What the text of an id is: one rule for files, data frames, the API and events on a topic.

One person must not become several because a file's writer added a blank or a decimal, nor several people one because a
number was rounded. The rule, in order:

1. Blanks at both ends are no part of an id.
2. What programs write where they have nothing (`NOTHING`, in any case of letters) is no id: it is missing.
3. A whole number is its digits: `7`, `7.0` and `7.` are `7`. Leading zeros stay: `007` is text.
4. A number that may have been rounded is refused: scientific notation (`4.0E+15`), and a floating-point number that its
   type does not hold exactly, from 2**53 on (2**24 of 32 bits). Integers are exact, however long.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

EXACT_BELOW = 2**53
"""Every whole number under this is one 64-bit float, and no two are the same."""

MISSING = "is missing"
ROUNDED = "is a number that was rounded when it was written: export the column as text or as whole numbers"
NO_TEXT = "is neither text nor a whole number"

BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000\ufeff"
"""Blanks of all widths, none among them, and the byte-order mark. Tabs and line ends are refused elsewhere."""

NOTHING = frozenset(
    "|null|(null)|[null]|#null!|nil|none|undefined|(blank)|nan|-nan|nat|na|n/a|n.a.|<na>|#na|#n/a|#n/a n/a|#value!"
    "|#ref!|#div/0!|#name?|#num!|1.#ind|-1.#ind|1.#qnan|-1.#qnan|\\n|.|-|--|?".split("|")
)
"""What spreadsheets, databases and data frames write for no value, in small letters."""

WHOLE = r"-?(?:0|[1-9][0-9]*)\.0*"
"""Text that is a whole number with decimals."""
SCIENTIFIC = r"[+-]?(?:(?:[0-9]+[.,][0-9]*|[.,][0-9]+)[eE][+-]?[0-9]+|[0-9]+[eE]\+[0-9]+)"
"""A number in scientific notation. `12e4` may as well be an id in hexadecimal digits: it has neither point nor sign."""

_WHOLE, _SCIENTIFIC = re.compile(WHOLE), re.compile(SCIENTIFIC)


def id_text(text: str) -> str:
    """The id that `text` says. Hot path.

    Raises: ValueError: when it says none, or one that may be somebody else's.

    >>> id_text("596.0 "), id_text("007"), id_text("customer-7")
    ('596', '007', 'customer-7')
    """
    text = text.strip(BLANKS)
    if len(text) <= _LONGEST_NOTHING and text.lower() in NOTHING:
        raise ValueError(MISSING)
    if _WHOLE.fullmatch(text):
        return _digits(text)
    if _SCIENTIFIC.fullmatch(text):
        raise ValueError(ROUNDED)
    return text


_LONGEST_NOTHING = max(map(len, NOTHING))


def _digits(text: str) -> str:
    whole = text.partition(".")[0]
    if abs(int(whole)) >= EXACT_BELOW:
        raise ValueError(ROUNDED)
    return "0" if whole == "-0" else whole


def id_of(value: object, exact_below: int = EXACT_BELOW) -> str:
    """The id that a value of any type says; `exact_below` is what its type of float holds exactly.

    Raises: ValueError: when it says none, or one that may be somebody else's.

    >>> id_of(7.0), id_of(7), id_of("7"), id_of(2**64)
    ('7', '7', '7', '18446744073709551616')
    """
    if isinstance(value, bool):
        raise ValueError(NO_TEXT)
    if isinstance(value, str):
        return id_text(value)
    if value is None or value != value:  # NaN and NaT differ from themselves
        raise ValueError(MISSING)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _of_float(value, exact_below)
    if isinstance(value, Decimal):
        return _of_decimal(value)
    if isinstance(value, bytes):
        return id_text(value.decode())  # UnicodeDecodeError is a ValueError
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(NO_TEXT)


def _of_float(value: float, exact_below: int) -> str:
    if abs(value) >= exact_below:  # infinity too
        raise ValueError(ROUNDED)
    return str(int(value)) if value == int(value) else id_text(repr(value))


def _of_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(ROUNDED)
    return str(int(value)) if value == value.to_integral_value() else format(value, "f")
