"""Which hour a report is of, and what it may know: the options of every command that makes one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from lamina.clock import Clock, day_of
from lamina.errors import LaminaError
from lamina.lake.layout import HOUR

HOUR_MS = 3_600_000
KNOWN_AT_FORMATS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]

At = Annotated[datetime, typer.Option(formats=[HOUR], help="The hour, UTC, such as 2018-08-21T07; it has to be over.")]
KnownAt = Annotated[
    datetime | None,
    typer.Option(formats=KNOWN_AT_FORMATS, help="Look at what was known before this time, UTC; else the hour's end."),
]


class HourNotOver(LaminaError):
    """An hour of which answers may still come."""


def times_of(at: datetime, known_at: datetime | None, clock: Clock) -> tuple[datetime, int, int]:
    """The hour, its end, and the time before which something must have been known, epoch ms.

    Raises: HourNotOver: when one of them is still to come.
    """
    hour = at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    end_ms = round(hour.timestamp() * 1000) + HOUR_MS
    known_ms = end_ms if known_at is None else round(known_at.replace(tzinfo=UTC).timestamp() * 1000)
    if max(end_ms, known_ms) > clock():
        now = datetime.fromtimestamp(clock() / 1000, tz=UTC)
        raise HourNotOver(
            f"{hour:{HOUR}} with what is known before {datetime.fromtimestamp(known_ms / 1000, tz=UTC):%Y-%m-%d %H:%M} "
            f"is not over: it is {now:%Y-%m-%d %H:%M} UTC. Give an hour before that; a replay says what time it is by "
            "LAMINA_CLOCK_AT"
        )
    return hour, end_ms, known_ms


def days_between(start_ms: int, end_ms: int) -> list[date]:
    """The days, UTC, that hold a time from `start_ms` to before `end_ms`.

    >>> [day.isoformat() for day in days_between(0, 86_400_001)]
    ['1970-01-01', '1970-01-02']
    """
    first, last = day_of(start_ms), day_of(end_ms - 1)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
