"""Time as an argument: functions that need 'now' take a `Clock`, so that a test can say when it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from lamina.errors import DayNotOver

Clock = Callable[[], int]
"""Returns the current time in milliseconds since the epoch."""

DAY_MS = 86_400_000


def system_clock() -> int:
    """Wall-clock time in milliseconds since the epoch.

    >>> system_clock() > 1_500_000_000_000
    True
    """
    return time.time_ns() // 1_000_000


def midnight_ms(day: date) -> int:
    """Milliseconds since the epoch of midnight UTC at the start of `day`.

    >>> midnight_ms(date(1970, 1, 2))
    86400000
    """
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def day_of(at_ms: int) -> date:
    """The UTC day that holds `at_ms`.

    >>> day_of(86_400_000)
    datetime.date(1970, 1, 2)
    """
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).date()


def next_day(day: date) -> date:
    """The day after `day`.

    >>> next_day(date(2018, 12, 31))
    datetime.date(2019, 1, 1)
    """
    return day + timedelta(days=1)


def require_over(day: date, clock: Clock) -> date:
    """`day`, once it is over by `clock`.

    Raises: DayNotOver: a batch layer that claims to be complete through a day to come hides every event until then.

    >>> require_over(date(2018, 8, 14), lambda: midnight_ms(date(2018, 8, 15)))
    datetime.date(2018, 8, 14)
    """
    now_ms = clock()
    if day == date.max or midnight_ms(next_day(day)) > now_ms:
        now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
        raise DayNotOver(
            f"{day} is not over: it is {now:%Y-%m-%d %H:%M} UTC. Give a day up to {now.date() - timedelta(days=1)}; a "
            "replay of other days says what time it is by LAMINA_CLOCK_AT"
        )
    return day
