"""Aggregates of a feature view: what each is called, what it needs, and the conditions it counts under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from lamina.contracts.durations import Duration

AggregateKind = Literal[
    "count",
    "total",
    "mean",
    "minimum",
    "maximum",
    "std",
    "first",
    "last",
    "last_k",
    "first_time",
    "last_time",
    "distinct",
    "session_count",
    "decayed_count",
]
Operator = Literal["=", "<>", "<", "<=", ">", ">=", "is null", "is not null"]
OPERATORS: tuple[str, ...] = get_args(Operator)
NUMERIC = ("total", "mean", "minimum", "maximum", "std")
DATED = ("first", "last", "last_k")
SMALLEST_CAP = 3
MOST_HALF_LIVES = 512
"""A tile's decayed count is a sum of powers of two up to this exponent, which a double holds with room to spare."""

_ASKED_AS: dict[str, tuple[type, ...]] = {"string": (str,), "double": (int, float), "long": (int, float)}


@dataclass(frozen=True)
class Predicate:
    """A condition on one column, in SQL's three-valued sense: a missing value satisfies only `is null`.

    >>> Predicate("is_fraud", "=", True).sql()
    'is_fraud = TRUE'
    """

    column: str
    operator: Operator
    value: str | int | float | bool | None = None

    def sql(self, column: str | None = None) -> str:
        """The condition as SQL that Spark, Flink and DuckDB all accept; `column` replaces the column's own name."""
        name = column or self.column
        if self.value is None:
            return f"{name} {self.operator.upper()}"
        if isinstance(self.value, bool):
            return f"{name} {self.operator} {str(self.value).upper()}"
        if isinstance(self.value, str):
            escaped = self.value.replace("'", "''")
            return f"{name} {self.operator} '{escaped}'"
        return f"{name} {self.operator} {self.value!r}"

    def complaints(self, columns: Mapping[str, str]) -> Iterator[str]:
        """What is wrong with this condition on a source with these columns, each a sentence that says what to do."""
        if self.column not in columns:
            yield f"the condition names unknown column {self.column!r}; the source has {sorted(columns)}"
            return
        text, kind = f"the condition on {self.column!r}", columns[self.column]
        if self.operator not in OPERATORS:
            yield f"{text} has the operator {self.operator!r}; there are {', '.join(map(repr, OPERATORS))}"
        elif isinstance(self.value, float) and not isfinite(self.value):
            yield f"{text} compares with {self.value!r}, which no engine writes alike: give a finite number"
        elif self.operator in ("is null", "is not null"):
            if self.value is not None:
                yield f"{text} compares with {self.value!r} and asks whether it is missing: leave the value out"
        elif self.value is None:
            yield f"{text} compares with nothing: give a value, or take the operator 'is null'"
        elif kind == "boolean":
            if not isinstance(self.value, bool) or self.operator not in ("=", "<>"):
                yield f"{text}, which is boolean, must be = or <> with True or False"
        elif isinstance(self.value, bool) or not isinstance(self.value, _ASKED_AS[kind]):
            yield f"{text}, which is {kind}, compares with {self.value!r}: give a {kind}"
        elif kind == "long" and self.operator in ("=", "<>") and self.value != int(self.value):
            yield f"{text}, which is a whole number, never equals {self.value!r}: give a whole number"


@dataclass(frozen=True)
class Aggregate:
    """One aggregate. Missing values of `column` and events that fail `where` take no part in it.

    count: events. total, mean, minimum, maximum: as named; total of nothing is 0, the others are missing. std:
    population standard deviation. first, last: the value at the smallest or largest (time, id). last_k: the values at
    the `k` largest (time, id), newest first; a list, empty where there is none. first_time, last_time: time of the
    oldest or newest event, epoch ms. distinct: number of different values, exact up to `cap`, estimated above it (see
    `lamina.semantics.sketch`). session_count: events of the session that goes on at the time asked for: the newest and
    those before it as long as neighbours are at most `gap` apart; 0 when the newest is longer ago than `gap`.
    decayed_count: each event counts 2^(-age / `half_life`).
    """

    kind: AggregateKind
    name: str
    column: str | None = None
    where: Predicate | None = None
    cap: int | None = None
    k: int | None = None
    gap: Duration | None = None
    half_life: Duration | None = None

    @property
    def is_list(self) -> bool:
        """Whether its value is a list."""
        return self.kind == "last_k"

    def complaints(self, columns: Mapping[str, str]) -> Iterator[str]:
        """What is wrong with this aggregate on a source with these columns, each a sentence that says what to do."""
        if self.where:
            yield from (f"{self.name!r}: {complaint}" for complaint in self.where.complaints(columns))
        if self.column and self.column not in columns:
            yield f"{self.name!r} uses unknown column {self.column!r}; the source has {sorted(columns)}"
            return
        kind = columns.get(self.column or "", "double")
        if self.kind in NUMERIC and kind not in ("double", "long"):
            yield f"{self.name!r}: {self.kind} needs a number, and {self.column!r} is {kind}"
        if self.kind in DATED and kind == "boolean":
            yield f"{self.name!r}: {self.kind} needs text or a number, and {self.column!r} is boolean: count it instead"
        if self.kind == "distinct" and kind == "double":
            yield (
                f"{self.name!r}: distinct over {self.column!r}, which is double: engines write floating-point numbers "
                "differently, so their values cannot be told apart alike; take a string or long column"
            )
        if self.kind == "distinct" and not (self.cap and self.cap >= SMALLEST_CAP):
            yield f"{self.name!r}: distinct needs cap, how many values it counts exactly: at least {SMALLEST_CAP}"
        if self.kind == "last_k" and not (self.k and self.k > 0):
            yield f"{self.name!r}: last_k needs k, how many values it holds: at least 1"
        for what, length in (("gap", self.gap), ("half_life", self.half_life)):
            if length is not None and length.s <= 0:
                yield f"{self.name!r}: {what} must be longer than nothing"

    def complaints_at(self, resolution: Duration) -> Iterator[str]:
        """What is wrong with this aggregate over tiles of `resolution`."""
        if self.gap and 0 < self.gap.s < resolution.s:
            yield (
                f"{self.name!r}: a gap of {self.gap.label} can lie within a tile of {resolution.label}: take a longer "
                "gap or a finer resolution"
            )
        if self.half_life and resolution.s > MOST_HALF_LIVES * self.half_life.s > 0:
            yield (
                f"{self.name!r}: a half-life of {self.half_life.label} is too short for tiles of {resolution.label}: "
                f"take a finer resolution, of at most {MOST_HALF_LIVES} half-lives"
            )


def count(name: str, *, where: Predicate | None = None) -> Aggregate:
    """Number of events."""
    return Aggregate("count", name, where=where)


def total(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """Sum of `column`."""
    return Aggregate("total", name, column, where)


def mean(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """Arithmetic mean of `column`."""
    return Aggregate("mean", name, column, where)


def minimum(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """Smallest `column`."""
    return Aggregate("minimum", name, column, where)


def maximum(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """Largest `column`."""
    return Aggregate("maximum", name, column, where)


def std(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """Population standard deviation of `column`."""
    return Aggregate("std", name, column, where)


def first(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """`column` of the oldest event."""
    return Aggregate("first", name, column, where)


def last(column: str, name: str, *, where: Predicate | None = None) -> Aggregate:
    """`column` of the newest event."""
    return Aggregate("last", name, column, where)


def first_time(name: str, *, where: Predicate | None = None) -> Aggregate:
    """Time of the oldest event, epoch milliseconds."""
    return Aggregate("first_time", name, where=where)


def last_time(name: str, *, where: Predicate | None = None) -> Aggregate:
    """Time of the newest event, epoch milliseconds."""
    return Aggregate("last_time", name, where=where)


def last_k(column: str, name: str, *, k: int, where: Predicate | None = None) -> Aggregate:
    """`column` of the newest `k` events, newest first."""
    return Aggregate("last_k", name, column, where, k=k)


def distinct(column: str, name: str, *, cap: int, where: Predicate | None = None) -> Aggregate:
    """Number of different values of `column`, exact up to `cap`, above it with a standard error of 1/sqrt(cap - 2)."""
    return Aggregate("distinct", name, column, where, cap)


def session_count(name: str, *, gap: Duration, where: Predicate | None = None) -> Aggregate:
    """Number of events in the session that goes on, neighbours at most `gap` apart."""
    return Aggregate("session_count", name, where=where, gap=gap)


def decayed_count(name: str, *, half_life: Duration, where: Predicate | None = None) -> Aggregate:
    """Number of events, of which one `half_life` ago counts half."""
    return Aggregate("decayed_count", name, where=where, half_life=half_life)
