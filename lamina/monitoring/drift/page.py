"""The report of drift as a page for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from lamina.monitoring.drift.findings import Finding, State
from lamina.monitoring.drift.report import DriftReport
from lamina.reporting.watched import Cell, Sheet, render

EXPLAINED = (
    "An alert needs an effect, less what the sketches may be off by, beyond its threshold, and a p, corrected for all "
    "comparisons of its kind, that chance does not explain. What is furthest beyond its threshold comes first."
)


def drift_page(report: DriftReport) -> bytes:
    """What was compared, and what of it drifted."""
    found = sorted(report.findings, key=lambda f: (f.state is not State.DRIFTED, -f.certain / f.threshold, f.subject))
    linked = f" Evidently's page is beside the version in MLflow: {report.page}." if report.page else ""
    sheets = [
        Sheet(
            f"Against what version {report.model_version} was trained and tested on",
            EXPLAINED + linked,
            headings=("what", "effect", "threshold", "p", "rows", "found"),
            rows=tuple(_row(finding) for finding in found),
        ),
        Sheet(
            "Since when positive rows are ranked lower",
            "By change detectors on the share of scores above each positive row, in the order in which labels arrived.",
            headings=("detector", "since (UTC)", "before", "after"),
            rows=tuple(
                (
                    change.detector,
                    f"{datetime.fromtimestamp(change.at_ms / 1000, tz=UTC):%Y-%m-%d %H:%M}",
                    f"{change.error_before:.4f}",
                    f"{change.error_after:.4f}",
                )
                for change in report.changes
            ),
        ),
    ]
    return render(f"{report.system}: drift", report, [sheet for sheet in sheets if sheet.rows or sheet is sheets[0]])


def _row(finding: Finding) -> Sequence[Cell]:
    state = f"drifted, {finding.severity}" if finding.severity else finding.state.replace("_", " ")
    return (
        (f"{finding.kind}: {finding.subject}", finding.statistic.replace("_", "-")),
        "–" if finding.effect is None else f"{finding.effect:.4f}",
        f"{finding.threshold:.3f}",
        "–" if finding.adjusted is None else f"{finding.adjusted:.2g}",
        (f"{finding.rows:,}", f"{finding.reference_rows:,} in the reference"),
        state,
    )
