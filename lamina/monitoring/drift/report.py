"""The report of drift of an hour: every comparison, the alerts among them, and since when a model errs more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lamina.monitoring.drift.findings import Finding
from lamina.monitoring.reports import Alert, Part, Report, Window

KIND = "drift"
PAGE = "drift.html"
"""Evidently's page among the artefacts of a version's run."""


class Change(Part):
    """A rise of the errors that a detector found. at_ms: when the label arrived at which it did, epoch milliseconds."""

    detector: str
    at_ms: int
    error_before: float
    error_after: float


class DriftReport(Report):
    """See `lamina.monitoring.reports`. `window` is that of the features and scores, `labels` that of the answers whose
    labels are complete. findings: all comparisons. no_verdict: why there are none. page: Evidently's page, as MLflow
    names it; None where nothing drifted.
    """

    kind: str = KIND
    model_version: str | None = None
    labels: Window | None = None
    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    page: str | None = None
    no_verdict: str = ""


def alerts_of(findings: Sequence[Finding], since_ms: Callable[[Finding], int]) -> tuple[Alert, ...]:
    """An alert for each finding that drifted, the furthest beyond its threshold first.

    Args: since_ms: gives the start of the rows that a finding is of, epoch milliseconds.
    """
    drifted = [(finding, finding.severity) for finding in findings]
    return tuple(
        Alert(
            name=f"{finding.kind}_drift",
            severity=severity.value,
            subject=finding.subject,
            value=finding.effect or 0.0,
            threshold=finding.threshold,
            message=finding.message,
            since_ms=since_ms(finding),
        )
        for finding, severity in sorted(drifted, key=lambda each: -each[0].certain / each[0].threshold)
        if severity is not None
    )
