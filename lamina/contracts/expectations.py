"""The words a suite is written in. An expectation is data: the kind is one of Great Expectations', by its own name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from lamina.clock import midnight_ms, next_day

Severity = Literal["critical", "warning"]

EARLIEST = {"$PARAMETER": "earliest_ms"}
"""The oldest time an event may carry: midnight at the start of the day, less the lateness that the suite allows."""
END_OF_DAY = {"$PARAMETER": "end_of_day_ms"}
"""Midnight at the end of the day."""
NOW = {"$PARAMETER": "now_ms"}
"""The time of the check, with room for clocks that are ahead."""

CLOCK_SKEW_MS = 300_000

LATENESS = timedelta(days=7)
"""As long as Kafka keeps an event: what is older was replayed, not late."""


@dataclass(frozen=True)
class Expectation:
    """One rule. A broken critical rule fails the gate; a broken warning is reported and counted.

    >>> Expectation("expect_column_values_to_not_be_null", {"column": "user_id"}).name
    'expect_column_values_to_not_be_null(user_id)'
    """

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"
    why: str = ""
    rows: Mapping[str, str | bool] = field(default_factory=dict)
    """The rows that it is about: those of which these columns have these values. None given: all of them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns the rule reads; none for a rule about the table."""
        own = (str(self.arguments[k]) for k in ("column", "column_A", "column_B") if k in self.arguments)
        return (*own, *self.rows)

    @property
    def name(self) -> str:
        """The rule in one word, as messages say it; unique within a suite."""
        bounds = [k for k in ("min_value", "max_value") if self.severity == "warning" and k in self.arguments]
        columns = (column for column in self.columns if column not in self.rows)
        return f"{self.kind}({', '.join((*columns, *bounds))})"


@dataclass(frozen=True)
class Suite:
    """The rules for a topic. `lateness` is how long before its day an event may have happened.

    most_dead: share of a day's messages that may be dead letters; few_dead: this many always may, unless they are all.
    silence: what a day without events is after a day with some.
    """

    topic: str
    lateness: timedelta
    expectations: tuple[Expectation, ...]
    most_dead: float = 0.01
    few_dead: int = 5
    silence: Severity = "critical"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a rule reads, dots in nested ones replaced by underscores."""
        return tuple(dict.fromkeys(c for e in self.expectations for c in e.columns))

    def parameters(self, day: date, now_ms: int) -> dict[str, int]:
        """Values of the times that rules name, epoch ms, for the events of `day` checked at `now_ms`."""
        return {
            "earliest_ms": midnight_ms(day) - round(self.lateness.total_seconds() * 1000),
            "end_of_day_ms": midnight_ms(next_day(day)),
            "now_ms": now_ms + CLOCK_SKEW_MS,
        }

    def allows_dead(self, dead: int, read: int) -> bool:
        """Whether so many dead letters among the messages that were read are no reason to stop.

        >>> suite = Suite("t", timedelta(0), (), most_dead=0.01, few_dead=5)
        >>> suite.allows_dead(5, 6), suite.allows_dead(6, 600), suite.allows_dead(7, 600), suite.allows_dead(2, 2)
        (True, True, False, False)
        """
        return not dead or (dead < read and dead <= max(self.few_dead, self.most_dead * read))


DEAD_LETTERS = Expectation(
    "dead_letters_at_most", why="a producer and the contract disagree: see `lamina dead-letters list`"
)
"""Of a day's messages no more than the suite allows broke the contract; counted by the archive."""


def not_suddenly_empty(severity: Severity) -> Expectation:
    """There are events, or there were none on the day before either."""
    why = "a producer, the topic or the archive stands still"
    return Expectation("not_empty_after_a_day_with_events", severity=severity, why=why)


def in_currency(code: str) -> Expectation:
    """All amounts are in the currency of the installation."""
    why = f"amounts are added up and weighed as {code}: convert them, or set LAMINA_CURRENCY where all are in another"
    return Expectation("in_the_currency_of_the_installation", {"column": "currency"}, why=why)


def present(*columns: str) -> tuple[Expectation, ...]:
    """No value of these columns is missing."""
    return tuple(Expectation("expect_column_values_to_not_be_null", {"column": c}) for c in columns)


def mostly_unique(column: str, at_least: float, why: str, severity: Severity = "critical") -> Expectation:
    """Of the values of `column`, at least this share are different; fewer means that a producer repeats itself."""
    kind = "expect_column_proportion_of_unique_values_to_be_between"
    return Expectation(kind, {"column": column, "min_value": at_least}, severity, why)


def matches(column: str, regex: str, why: str = "") -> Expectation:
    """Every value of `column` matches `regex`."""
    return Expectation("expect_column_values_to_match_regex", {"column": column, "regex": regex}, why=why)


def one_of(column: str, *values: str) -> Expectation:
    """Every value of `column` is one of these."""
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": list(values)})


def between(
    column: str, low: Any, high: Any, *, mostly: float = 1.0, severity: Severity = "critical", why: str = ""
) -> Expectation:
    """At least the share `mostly` of the values of `column` lie in [low, high]; None leaves a side open."""
    arguments = {"column": column, "mostly": mostly}
    arguments |= {} if low is None else {"min_value": low}
    arguments |= {} if high is None else {"max_value": high}
    return Expectation("expect_column_values_to_be_between", arguments, severity, why)


def some_rows() -> Expectation:
    """There is at least one event; a day without is worth a look, not a failure."""
    return Expectation("expect_table_row_count_to_be_between", {"min_value": 1}, "warning", "a day without events")


def in_time(
    column: str = "timestamp", mostly: float = 0.95, severity: Severity = "critical"
) -> tuple[Expectation, ...]:
    """Events carry a time around their day.

    What arrives after midnight, before the archive ran, is of the next day: that is a warning only. What is older than
    the allowed lateness, or lies in the future, is a unit or a clock gone wrong: as bad as `severity` says.
    """
    why = "a wrong unit, a wrong clock, or a replay of old events"
    return (
        between(column, EARLIEST, NOW, mostly=mostly, severity=severity, why=why),
        between(column, None, END_OF_DAY, mostly=mostly, severity="warning", why="the archive ran long after midnight"),
    )
