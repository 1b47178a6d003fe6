"""Shapes of dates and times as regular expressions with named parts: ISO-8601, and what a strptime format says.

Expressions are RE2's. A part that is not there is an empty text.
"""

from __future__ import annotations

import re

# Seconds of an offset are ISO's for times before 1900; they cost nothing to read.
_OFFSET = (
    r"(?:(?P<utc>Z|z|UTC|GMT)|(?P<sign>[+-])(?P<offset_hour>\d{2})"
    r"(?::?(?P<offset_minute>\d{2})(?::?(?P<offset_second>\d{2}))?)?)"
)
_CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_FULL = "january february march april may june july august september october november december".split()
_WEEKDAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tue|wed|thu|fri|sat|sun"

MONTHS = tuple(_MONTHS)
"""The first three letters of a month's name, in order."""

ISO = rf"^(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})(?:[Tt ]\s*{_CLOCK}(?:\s*{_OFFSET})?)?$"
ISO_BASIC = (
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    rf"(?:T(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?P<second>\d{{2}})(?:[.,](?P<fraction>\d{{1,9}}))?(?:{_OFFSET})?)?$"
)

_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d{2})",
    "m": r"(?P<month>\d{1,2})",
    "d": r"(?P<day>\d{1,2})",
    "e": r"\s?(?P<day>\d{1,2})",
    "j": r"(?P<day_of_year>\d{1,3})",
    "b": rf"(?P<month_name>(?i:{'|'.join(_FULL)}|{'|'.join(_MONTHS)}))\.?",
    "a": rf"(?i:{_WEEKDAYS})",
    "H": r"(?P<hour>\d{1,2})",
    "I": r"(?P<hour_12>\d{1,2})",
    "p": r"(?P<half>(?i:am|pm))",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    "f": r"(?P<fraction>\d{1,9})",
    "z": _OFFSET,
    "Z": r"(?P<zone_name>[A-Za-z][^\s]*)",
    "%": "%",
    "n": r"\s+",
    "t": r"\s+",
}
_DIRECTIVES |= {"B": _DIRECTIVES["b"], "h": _DIRECTIVES["b"], "A": _DIRECTIVES["a"]}
_SHORT = {"T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "F": "%Y-%m-%d"}
_PART = re.compile(r"%(.)|(\s+)|([^%\s]+)|(%)$", re.DOTALL)


def pattern_of(strptime: str) -> str:
    """The expression of a strptime format.

    Raises: ValueError: names what is unknown, twice there or missing.

    >>> bool(re.match(pattern_of("%d.%m.%Y %H:%M"), "8.8.2018 12:00"))
    True
    """
    for short, long in _SHORT.items():
        strptime = strptime.replace(f"%{short}", long)
    pieces = []
    for letter, blank, text, lone in _PART.findall(strptime):
        if lone or (letter and letter not in _DIRECTIVES):
            known = " ".join(f"%{name}" for name in sorted({*_DIRECTIVES, *_SHORT}))
            raise ValueError(f"%{letter} is not read; known are {known}")
        pieces.append(_DIRECTIVES[letter] if letter else r"\s+" if blank else re.escape(text))
    pattern = f"^{''.join(pieces)}$"
    parts = re.findall(r"\(\?P<(\w+)>", pattern)
    twice = sorted({part for part in parts if parts.count(part) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} twice")
    _check_complete(set(parts))
    return pattern


def _check_complete(parts: set[str]) -> None:
    if not parts & {"year", "short_year"}:
        raise ValueError("names no year (%Y)")
    if not ("day_of_year" in parts or ("day" in parts and parts & {"month", "month_name"})):
        raise ValueError("names no month and day (%m %d)")
    if ("hour_12" in parts) != ("half" in parts):
        raise ValueError("%I and %p go together: without %p no one knows which half of the day it is")
