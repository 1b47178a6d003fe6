"""Features that need no window of their own: made of others, or of the request alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Ratio:
    """Quotient of two features; `default`, None being missing, where the denominator is 0 or either is missing.

    Each is a window's, both then of one entity, or the request's own and a number: `amount` against the mean of those
    before it. `version` is as a view's.
    """

    name: str
    numerator: str
    denominator: str
    default: float | None = 0.0
    version: int = 1


@dataclass(frozen=True)
class Elapsed:
    """Seconds from the time that feature `since`, a first_time or last_time, holds to the one that `until` holds, or to
    the time asked for; missing where a time is. `version` is as a view's.
    """

    name: str
    since: str
    until: str | None = None
    version: int = 1

    @property
    def times(self) -> tuple[str, ...]:
        """The features that hold its times."""
        return (self.since,) if self.until is None else (self.since, self.until)


Transform = Literal["field", "hour_of_day", "day_of_week", "weekend", "night", "differs", "equals"]


@dataclass(frozen=True)
class RequestFeature:
    """A feature of the request alone.

    `field`: the column itself; `hour_of_day` 0..23 and `day_of_week` 0 (Monday)..6 of the event time, UTC; `weekend`
    day_of_week >= 5; `night` hour_of_day <= 6 (both as in Le Borgne et al. 2022, 3.3); `differs`: 1.0 where two
    columns differ; `equals`: 1.0 where the column equals `value`. `version` is as a view's.
    """

    name: str
    transform: Transform
    column: str = ""
    other: str = ""
    value: str = ""
    categorical: bool = False
    version: int = 1
