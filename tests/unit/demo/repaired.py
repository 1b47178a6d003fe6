"""A second act as its results tell it; the figures are made up."""

from __future__ import annotations

from datetime import UTC, date, datetime

from lamina.reporting.results import Repair, Span, Told


def told(name: str = "auc_fell", *, by_labels: bool = True) -> Told:
    return Told(
        report="performance" if by_labels else "drift",
        name=name,
        subject="version 1",
        severity="warning",
        value=0.81,
        threshold=0.94,
        message=f"{name}: far below",
        by_labels=by_labels,
    )


def span(name: str, first: date, version: str, auc: float) -> Span:
    return Span(
        name=name,
        first=first,
        last=first,
        versions=[version],
        rows=900,
        positives=9,
        auc=auc,
        low=auc - 0.02,
        high=auc + 0.01,
    )


def repaired() -> Repair:
    since = date(2026, 2, 19)
    spans = [
        span("before", date(2026, 2, 18), "1", 0.991),
        span("during", since, "1", 0.812),
        span("after", date(2026, 3, 5), "2", 0.981),
    ]
    return Repair(
        changed="all pay twice",
        since=since,
        asked=datetime(2026, 3, 4, 23, tzinfo=UTC),
        label_days=7,
        unposted=12_345,
        spans=spans,
        by_day=spans,
        alerts=[told("covariate_drift", by_labels=False), told()],
        shown_by="Prometheus",
        shown=["ModelPerformanceFell (auc_fell)"],
        run_id="drift__2026-03-04T23",
        outcome="better by 0.2",
        replaced_by="2",
        answered={"1": 100, "2": 200},
    )
