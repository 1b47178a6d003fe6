"""The newest reports of what is watched, as gauges for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import Gauge

from lamina.monitoring import metrics
from lamina.monitoring.drift.findings import MISSING, Kind, State
from lamina.monitoring.drift.report import KIND as DRIFT
from lamina.monitoring.drift.report import DriftReport
from lamina.monitoring.forms import EstimatedReport, Figure, PerformanceReport
from lamina.monitoring.reports import Report, Summary, kinds, newest

Shown = tuple[Gauge, tuple[str, ...], float]
"""A gauge, its labels, and its value."""
FORMS: Mapping[str, type[Report]] = {"performance": PerformanceReport, "estimated": EstimatedReport, DRIFT: DriftReport}
"""The form of each kind of report of which more is shown than what all kinds have."""


@dataclass
class Exported:
    """What one process shows of the reports in a lake. What the newest reports do not say any more, such as figures of
    a version that serves no longer, is taken back.
    """

    lake: str
    _shown: dict[str, set[tuple[Gauge, tuple[str, ...]]]] = field(default_factory=dict, init=False)

    def show(self, system: str) -> None:
        """Set the gauges of `system` to what its newest reports say.

        Raises: BrokenMonitoringReport: one of them cannot be read; every gauge keeps its value.
        """
        reports = (newest(self.lake, system, kind, FORMS.get(kind, Summary)) for kind in kinds(self.lake, system))
        found = [shown for report in reports if report is not None for shown in _shown(report)]
        named = {(gauge, labels) for gauge, labels, _ in found}
        for gauge, labels, value in found:
            gauge.labels(*labels).set(value)
        for gauge, labels in self._shown.get(system, set()) - named:
            gauge.remove(*labels)
        self._shown[system] = named


def _shown(report: Report) -> Iterator[Shown]:
    """What is shown of a report: that it is there, its alerts, and what only its kind has."""
    yield metrics.MONITORING_REPORT_END, (report.system, report.kind), report.window.end_ms / 1000
    for (name, severity), n in Counter((alert.name, alert.severity) for alert in report.alerts).items():
        yield metrics.MONITORING_ALERTS, (report.system, report.kind, name, severity), float(n)
    match report:
        case PerformanceReport():
            yield from _performance(report)
        case EstimatedReport():
            yield from _estimated(report)
        case DriftReport():
            yield from _drift(report)


def _performance(report: PerformanceReport) -> Iterator[Shown]:
    whole = [group for group in report.groups if group.is_whole and not group.shadow]
    yield _no_verdict(report, judged=any(not group.no_verdict for group in whole))
    for group in whole:
        yield metrics.MODEL_PERFORMANCE_LABELS, (report.system, group.model_version), float(group.rows)
        # Figures of too few rows would pass for good or bad ones.
        if not group.no_verdict:
            yield from _figures(report.system, group.model_version, group.figures)


def _estimated(report: EstimatedReport) -> Iterator[Shown]:
    recent = [part for part in report.parts if part.day is None]
    yield _no_verdict(report, judged=any(not part.no_verdict for part in recent))
    for part in recent:
        for name, estimate in part.figures.items():
            labels = (report.system, part.model_version, name)
            yield metrics.MODEL_PERFORMANCE_ESTIMATED, labels, estimate.value
            yield metrics.MODEL_PERFORMANCE_ESTIMATED_LOW, labels, estimate.low
            yield metrics.MODEL_PERFORMANCE_ESTIMATED_HIGH, labels, estimate.high
    for version, errors in report.mean_error.items():
        for name, error in errors.items():
            yield metrics.MODEL_PERFORMANCE_ESTIMATE_ERROR, (report.system, version, name), error


def _drift(report: DriftReport) -> Iterator[Shown]:
    yield _no_verdict(report, judged=any(f.state in (State.STABLE, State.DRIFTED) for f in report.findings))
    for finding in report.findings:
        if finding.effect is None or finding.adjusted is None:
            continue
        if finding.kind is not Kind.COVARIATE:
            yield metrics.MODEL_DRIFT, (report.system, finding.kind.value), finding.effect
        elif finding.statistic != MISSING:
            yield metrics.FEATURE_DRIFT, (report.system, finding.subject), finding.effect
            yield metrics.FEATURE_DRIFT_P, (report.system, finding.subject), finding.adjusted


def _no_verdict(report: Report, *, judged: bool) -> Shown:
    return metrics.MONITORING_NO_VERDICT, (report.system, report.kind), float(not judged)


def _figures(system: str, version: str, figures: Mapping[str, Figure]) -> Iterator[Shown]:
    for name, figure in figures.items():
        labels = (system, version, name)
        yield metrics.MODEL_PERFORMANCE, labels, figure.value
        if figure.low is not None and figure.high is not None:
            yield metrics.MODEL_PERFORMANCE_LOW, labels, figure.low
            yield metrics.MODEL_PERFORMANCE_HIGH, labels, figure.high
