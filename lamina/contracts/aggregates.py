"""Aggregates of a feature view: what each is called, what it needs, and the conditions it counts under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

AggregateKind = Literal["count", "total", "mean", "minimum", "maximum", "std", "first", "last", "last_time", "distinct"]
Operator = Literal["=", "<>", "<", "<=", ">", ">=", "is null", "is not null"]
NUMERIC = ("total", "mean", "minimum", "maximum", "std")


@dataclass(frozen=True)
class Predicate:
    """A condition on one column, in SQL's three-valued sense: a missing value satisfies only `is null`.

    >>> Predicate("is_fraud", "=", True).sql()
    'is_fraud = TRUE'
    """

    column: str
    operator: Operator
    value: str | float | bool | None = None

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


@dataclass(frozen=True)
class Aggregate:
    """One aggregate. Missing values of `column` and events that fail `where` take no part in it.

    count: events. total, mean, minimum, maximum: as named; total of nothing is 0, the others are missing. std:
    population standard deviation. first, last: the value at the smallest or largest (time, id). last_time: time of the
    newest event, epoch ms. distinct: number of different values, exact up to `cap`, which is also the most it answers.
    """

    kind: AggregateKind
    name: str
    column: str | None = None
    where: Predicate | None = None
    cap: int | None = None

    def complaints(self, columns: Mapping[str, str]) -> Iterator[str]:
        """What is wrong with this aggregate on a source with these columns, each a sentence that says what to do."""
        for column in filter(None, (self.column, self.where and self.where.column)):
            if column not in columns:
                yield f"{self.name!r} uses unknown column {column!r}; the source has {sorted(columns)}"
        if self.kind in NUMERIC and columns.get(self.column or "", "double") not in ("double", "long"):
            yield f"{self.name!r}: {self.kind} needs a number, and {self.column!r} is {columns[self.column or '']}"
        if self.kind == "distinct" and not (self.cap and self.cap > 0):
            yield f"{self.name!r}: distinct needs cap, the most values it tells apart"


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


def last_time(name: str, *, where: Predicate | None = None) -> Aggregate:
    """Time of the newest event, epoch milliseconds."""
    return Aggregate("last_time", name, where=where)


def distinct(column: str, name: str, *, cap: int, where: Predicate | None = None) -> Aggregate:
    """Number of different values of `column`, at most `cap`."""
    return Aggregate("distinct", name, column, where, cap)
