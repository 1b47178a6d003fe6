"""Dates, texts and numbers of a file as milliseconds since the epoch. What is no time is a failed `Check`.

A time's own offset counts; one without an offset is of the mapping's zone. There, of an hour that comes twice the first
is taken, and noted; an hour that never comes is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.epoch import MAX_TIMESTAMP_MS, PER_SECOND, UNITS, epoch_units, rounded_ms
from lamina.ingest.checks import Check, Mask, is_text, mask_of, something
from lamina.ingest.fields import TimestampField
from lamina.ingest.patterns import ISO, ISO_BASIC, MONTHS, pattern_of

TWICE = "lies in the hour that comes twice when clocks go back: the first was taken"
_NEVER = "does not exist in {}: clocks went forward over it"
_NO_TIME = "is not a date and time"
_NO_ZONE = "names a zone that may mean several offsets: give the offset, or leave the name out and say timezone"
# No exponents: what a spreadsheet made of a number, 1.53E+09, has lost its last digits.
_NUMBER = r"^[+-]?\d+(\.\d*)?$"
_SECONDS = {**{unit: 1 / per for unit, per in PER_SECOND.items()}, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_ONE_OFFSET = pa.array(["UTC", "GMT", "Z"])
_PIVOT_YEAR = 69  # POSIX: 69 to 99 are of the twentieth century
_US_PER_S = 10**6
# Beyond it no sum of parts overflows, and every value lies outside the contract's years.
_FAR_US = 2**61

Ints = NDArray[np.int64]


@dataclass
class Times:
    """Milliseconds since the epoch (int64, null where there is none), what failed, and what was decided."""

    at_ms: pa.Array
    checks: list[Check] = field(default_factory=list)
    notes: list[Check] = field(default_factory=list)


def epoch_times(numbers: pa.Array, unit: str, origin_us: int | None) -> Times:
    """Numbers that count `unit` since `origin_us`, or since 1970 where that is None.

    `unit` datetime stands for whichever of s, ms, us and ns a number is in, by the rule of `lamina.contracts.epoch`.
    """
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    there = np.isfinite(values)
    units = epoch_units(values)
    times = Times(pa.nulls(len(values), pa.int64()), [Check("timestamp", _NO_TIME, np.isinf(values))])
    if unit == "datetime":
        unknown = there & (units == None)  # noqa: E711 - elementwise
        times.checks.append(
            Check("timestamp", "is a number in no known unit: say unit, and origin where it is not 1970", unknown)
        )
        scale = np.array([_SECONDS[name] if name else 0.0 for name in units])
        there &= ~unknown
    else:
        scale = np.full(len(values), _SECONDS[unit])
        if origin_us is None:
            for other in UNITS:
                if other != unit:
                    reason = f"looks like {UNITS[other]} since the epoch: say unit: {other}"
                    times.checks.append(Check("timestamp", reason, there & (units == other)))
    with np.errstate(over="ignore", invalid="ignore"):
        since = np.where(there, values * scale * 1000, 0.0)
    near = np.abs(since) < _FAR_US / 1000
    # A half goes up, as everywhere.
    at_ms = np.floor(np.where(near, since, np.sign(since) * MAX_TIMESTAMP_MS * 2) + 0.5).astype(np.int64)
    times.at_ms = pa.array(at_ms + rounded_ms(origin_us or 0), mask=~there)
    return times


def dated_times(column: pa.Array, zone: str) -> Times:
    """A column of dates or timestamps; those without a zone are of `zone`."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"), safe=False)
    per_s = PER_SECOND[column.type.unit]
    numbers = column.cast(pa.int64())
    there = mask_of(numbers.is_valid())
    values = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    far = _FAR_US // _US_PER_S * per_s if per_s <= _US_PER_S else None
    clipped = values if far is None else np.clip(values, -far, far)
    at_us = clipped * (_US_PER_S // per_s) if per_s <= _US_PER_S else clipped // (per_s // _US_PER_S)
    if column.type.tz is not None:
        return Times(pa.array(rounded_ms(at_us), mask=~there))
    return _in_zone(at_us, there, zone)


def written_times(text: pa.Array, strptime: str | None, zone: str) -> Times:
    """Texts as `strptime` says, or ISO-8601 without it; there, digits alone are a number by the rule for numbers."""
    text = something(text)
    present = mask_of(text.is_valid())
    counted = np.zeros(len(text), dtype=np.bool_)
    if strptime is None:
        parts = pc.extract_regex(text, ISO)
        basic = mask_of(pc.invert(parts.is_valid())) & present
        if basic.any():
            parts = pc.if_else(pa.array(basic), pc.extract_regex(text, ISO_BASIC), parts)
        counted = basic & ~mask_of(parts.is_valid()) & mask_of(pc.match_substring_regex(text, _NUMBER))
    else:
        parts = pc.extract_regex(text, pattern_of(strptime))
    civil = _Civil(parts)
    local_us, good = civil.local_us()
    offset_us, zoned, bad_zone, bad_offset = civil.offset_us()
    good &= ~bad_offset
    times = _in_zone(local_us, good & ~zoned & ~bad_zone, zone)
    at_ms = pc.if_else(
        pa.array(zoned & good), pa.array(rounded_ms(local_us - offset_us), mask=~(zoned & good)), times.at_ms
    )
    times.checks.append(Check("timestamp", _NO_TIME, present & ~good & ~counted))
    times.checks.append(Check("timestamp", _NO_ZONE, good & bad_zone))
    if counted.any():
        numbers = epoch_times(pc.if_else(pa.array(counted), text, None).cast(pa.float64()), "datetime", None)
        at_ms = pc.if_else(pa.array(counted), numbers.at_ms, at_ms)
        times.checks += numbers.checks
    times.at_ms = at_ms
    return times


def _in_zone(local_us: Ints, good: Mask, zone: str) -> Times:
    """Clock readings of `zone`, in microseconds as if they were UTC, as times."""
    if zone == "UTC":
        return Times(pa.array(rounded_ms(local_us), mask=~good))
    # The years of the contract: beyond them zones are guesses, and the row is refused anyway.
    near = good & (np.abs(local_us) < 2 * MAX_TIMESTAMP_MS * 1000)
    local = pa.array(local_us, mask=~near).cast(pa.timestamp("us"))
    first = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="earliest")
    last = pc.assume_timezone(local, zone, ambiguous="latest", nonexistent="earliest")
    never = mask_of(pc.not_equal(pc.local_timestamp(first), local))
    twice = mask_of(pc.not_equal(first, last)) & ~never
    at_us = pc.fill_null(first.cast(pa.timestamp("us")).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return Times(
        pa.array(rounded_ms(np.where(near, at_us, local_us)), mask=~good | never),
        [Check("timestamp", _NEVER.format(zone), never)],
        [Check("timestamp", TWICE, twice)],
    )


class _Civil:
    """Named parts of written times, a column each, and the arithmetic of the calendar on them."""

    def __init__(self, parts: pa.Array) -> None:
        self._names = [part.name for part in parts.type]
        self._parts = parts
        self._matched = mask_of(parts.is_valid())

    def _text(self, name: str) -> pa.Array | None:
        return pc.struct_field(self._parts, name) if name in self._names else None

    def _there(self, name: str) -> Mask:
        text = self._text(name)
        return np.zeros(len(self._matched), np.bool_) if text is None else mask_of(pc.not_equal(text, ""))

    def _number(self, name: str, otherwise: int = 0) -> Ints:
        text = self._text(name)
        if text is None:
            return np.full(len(self._matched), otherwise, dtype=np.int64)
        digits = pc.if_else(pc.equal(text, ""), str(otherwise), text)
        return np.asarray(pc.fill_null(digits.cast(pa.int64()), otherwise).to_numpy(zero_copy_only=False))

    def local_us(self) -> tuple[Ints, Mask]:
        """Microseconds since 1970 as the clock on the wall shows them, and which of them exist in the calendar."""
        days, good = self._days()
        hour, half_good = self._hour()
        minute, second = self._number("minute"), self._number("second")
        good &= half_good & (hour <= 23) & (minute <= 59) & (second <= 59)
        fraction = self._text("fraction")
        us: Any = 0
        if fraction is not None:
            six = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(fraction, ""), 6, "0"), 0, 6)
            us = six.cast(pa.int64()).to_numpy(zero_copy_only=False)
        at_us = ((days * 24 + hour) * 60 + minute) * 60 + second
        return np.where(good, at_us * _US_PER_S + us, 0), good

    def _days(self) -> tuple[Ints, Mask]:
        year = self._number("year", 1970)
        if "short_year" in self._names:
            short = self._number("short_year")
            year = short + np.where(short < _PIVOT_YEAR, 2000, 1900)
        if "day_of_year" in self._names:
            number = self._number("day_of_year", 1)
            start, end = (_as_days((year - 1970 + more) * 12) for more in (0, 1))
            return start + number - 1, self._matched & (number >= 1) & (number <= end - start)
        month, day = self._month(), self._number("day", 1)
        good = self._matched & (month >= 1) & (month <= 12) & (day >= 1)
        months = (year - 1970) * 12 + np.where(good, month - 1, 0)
        start = _as_days(months)
        return start + day - 1, good & (day <= _as_days(months + 1) - start)

    def _month(self) -> Ints:
        name = self._text("month_name")
        if name is None:
            return self._number("month", 1)
        place = pc.index_in(pc.utf8_slice_codeunits(pc.utf8_lower(name), 0, 3), pa.array(MONTHS))
        return np.asarray(pc.fill_null(pc.add(place.cast(pa.int64()), 1), 0).to_numpy(zero_copy_only=False))

    def _hour(self) -> tuple[Ints, Mask]:
        half = self._text("half")
        if half is None:
            return self._number("hour"), np.ones(len(self._matched), np.bool_)
        hour = self._number("hour_12", 12)
        later = mask_of(pc.equal(pc.utf8_lower(half), "pm"))
        return hour % 12 + np.where(later, 12, 0), (hour >= 1) & (hour <= 12)

    def offset_us(self) -> tuple[Ints, Mask, Mask, Mask]:
        """Offset from UTC in microseconds; which rows have one; whose zone is not known; whose offset cannot be."""
        hour, minute, second = (self._number(f"offset_{part}") for part in ("hour", "minute", "second"))
        minus = np.zeros(len(self._matched), np.bool_)
        if "sign" in self._names:
            minus = mask_of(pc.equal(self._text("sign"), "-"))
        zoned = self._there("utc") | self._there("sign")
        bad_zone = np.zeros(len(self._matched), np.bool_)
        name = self._text("zone_name")
        if name is not None:
            known = mask_of(pc.is_in(pc.utf8_upper(name), _ONE_OFFSET))
            bad_zone = self._matched & ~known
            zoned |= known
        seconds = (hour * 60 + minute) * 60 + second
        impossible = (hour > 23) | (minute > 59) | (second > 59)
        return np.where(minus, -seconds, seconds) * _US_PER_S, zoned & ~bad_zone, bad_zone, impossible


def _as_days(months: Ints) -> Ints:
    """Days from 1970-01-01 to the first of the month that is `months` after January 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def timestamps(columns: list[pa.Array], texts: list[pa.Array], how: TimestampField) -> Times:
    """The times of a column, or of a date column and a time column, as the mapping's `how` says.

    Args: columns: one or two; texts: the same as text.
    """
    if len(columns) == 2:
        both = [_day_text(columns[0], texts[0]), something(texts[1])]
        return written_times(pc.binary_join_element_wise(*both, " "), how.format, how.timezone)
    column, text = columns[0], texts[0]
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    if how.unit != "datetime":
        if not numeric and not is_text(column) and not pa.types.is_null(column.type):
            failed = Check(
                "timestamp", "is a date or a truth value, not a number: leave unit out", mask_of(column.is_valid())
            )
            return Times(pa.nulls(len(column), pa.int64()), [failed])
        numbers, failed = _numbers(column)
        times = epoch_times(numbers, how.unit, how.origin_us)
        times.checks.append(failed)
        return times
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return dated_times(column, how.timezone)
    if numeric and how.format is None:
        return epoch_times(column.cast(pa.float64(), safe=False), "datetime", None)
    return written_times(text, how.format, how.timezone)


def _numbers(column: pa.Array) -> tuple[pa.Array, Check]:
    if not is_text(column):
        return column.cast(pa.float64(), safe=False), Check(
            "timestamp", "is not a number", np.zeros(len(column), np.bool_)
        )
    trimmed = something(column)
    good = mask_of(pc.match_substring_regex(trimmed, _NUMBER))
    bad = ~good & mask_of(trimmed.is_valid())
    return pc.if_else(pa.array(good), trimmed, None).cast(pa.float64()), Check("timestamp", "is not a number", bad)


def _day_text(column: pa.Array, text: pa.Array) -> pa.Array:
    """The day of a date column; pandas stores days as midnights."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.date32(), safe=False).cast(pa.string())
    return something(text)
