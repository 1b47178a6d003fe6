"""Requests with their scores and what is true of them, and how well they are told apart, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from lamina.monitoring.figures import Weighed, measure
from lamina.reporting.results import Span


class Judged(NamedTuple):
    """A request: its day, UTC, the version that scored it, the score, what is true, and whom it is about."""

    day: date
    version: str
    score: float
    positive: bool
    unit: str


def span(name: str, rows: Sequence[Judged]) -> Span:
    """How well the positive ones among `rows` are told apart, where there are both kinds; of none there is no day."""
    positive = np.array([row.positive for row in rows], bool)
    days = sorted({row.day for row in rows})
    found = Span(
        name=name,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        versions=sorted({row.version for row in rows}),
        rows=len(rows),
        positives=int(positive.sum()),
    )
    if positive.all() or not positive.any():
        return found
    score = np.array([row.score for row in rows], np.float64)
    # What was done about them is not looked at here.
    weighed = Weighed.of(positive, score, np.full(len(rows), np.nan), np.ones(len(rows)))
    auc = measure(weighed, np.array([row.unit for row in rows], object))["auc"]
    return found.model_copy(update={"auc": auc.value, "low": auc.low, "high": auc.high})


def spans_by_day(rows: Sequence[Judged]) -> list[Span]:
    """A span a day and version, in order."""
    found: dict[tuple[date, str], list[Judged]] = {}
    for row in rows:
        found.setdefault((row.day, row.version), []).append(row)
    return [span("day", found[key]) for key in sorted(found)]
