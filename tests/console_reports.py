"""Reports of every kind in the lake of a console, of a version that did well for a week and then did not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.monitoring.drift.findings import Finding, Kind, State
from lamina.monitoring.drift.report import DriftReport, alerts_of
from lamina.monitoring.forms import (
    Beside,
    Counts,
    Estimate,
    EstimatedPart,
    EstimatedReport,
    Figure,
    Group,
    PerformanceReport,
)
from lamina.monitoring.reports import PAGE, Alert, Window, write_report
from lamina.registry.evaluation import Interval

HOUR = datetime(2025, 1, 20, 7, tzinfo=UTC)
END_MS = round(HOUR.timestamp() * 1000) + 3_600_000
WINDOW = Window(start_ms=END_MS - 14 * 86_400_000, end_ms=END_MS)
FEATURES = tuple(
    f"user_{what}_{window}" for what in ("spend", "velocity", "merchants") for window in ("1h", "1d", "7d")
)
LOW = Alert(
    name="auc_fell",
    severity="warning",
    subject="version 3",
    value=0.83,
    threshold=0.88,
    message="version 3: AUC 0.83 (0.81 to 0.85) is 0.1 below its own evaluation",
)


def performance() -> PerformanceReport:
    """Of two weeks: version 3 falls from 0.94 to 0.80, version 4 is in its shadow."""
    days = tuple(
        group("3", 0.94 if n < 7 else 0.94 - 0.02 * (n - 6), day=f"2025-01-{n + 1:02d}", rows=900) for n in range(13)
    )
    return PerformanceReport(
        system="fraud",
        known_before_ms=END_MS,
        window=WINDOW,
        recent=WINDOW,
        counts=Counts(answers=12_000, unscored=3, waiting=4_000, said_early=80, unknown=220, known=40, judged=7_740),
        baselines={"3": {"auc": 0.93, "average_precision": 0.61}},
        groups=(
            group("3", 0.83),
            group("4", 0.9, shadow=True),
            group("3", 0.84, arm="control"),
            group("3", 0.8, slice="device web"),
            group("3", 0.86, slice="<b>amount</b> above 500", no_verdict="9 of 70 rows are positive"),
            *days,
        ),
        beside=(
            Beside(
                model_version="4",
                arm="new",
                champion="3",
                rows=900,
                positives=90,
                differences={"auc": Interval(difference=0.07, low=0.05, high=0.09, confidence=0.9)},
            ),
        ),
        alerts=(LOW,),
    )


def group(version: str, auc: float, rows: int = 6_000, **more: object) -> Group:
    """Figures around an AUC."""
    return Group.model_validate(
        {
            "model_version": version,
            "rows": rows,
            "positives": rows // 10,
            "figures": {
                "auc": Figure(value=auc, low=auc - 0.02, high=auc + 0.02),
                "average_precision": Figure(value=auc - 0.3, low=auc - 0.36, high=auc - 0.24),
                "recall": Figure(value=0.5),
            },
            **more,
        }
    )


def estimated() -> EstimatedReport:
    """The estimates saw half of the fall."""
    days = tuple(
        EstimatedPart(
            model_version="3",
            day=f"2025-01-{n + 1:02d}",
            rows=900,
            figures={"auc": estimate(0.93 if n < 7 else 0.93 - 0.01 * (n - 6))},
        )
        for n in range(19)
    )
    return EstimatedReport(
        system="fraud",
        known_before_ms=END_MS,
        window=WINDOW,
        recent=WINDOW,
        parts=(EstimatedPart(model_version="3", rows=6_300, figures={"auc": estimate(0.85)}), *days),
        mean_error={"3": {"auc": 0.031}},
    )


def estimate(value: float) -> Estimate:
    """With a band of 0.01 to each side."""
    return Estimate(value=value, sampling_error=0.003, low=value - 0.01, high=value + 0.01)


def drift(hours_ago: int) -> DriftReport:
    """Of an hour: the first features drift further and further, the others stand still."""
    findings = tuple(
        Finding(
            kind=Kind.COVARIATE,
            subject=feature,
            statistic="kolmogorov_smirnov",
            threshold=0.1,
            reference_rows=40_000,
            rows=10_000,
            effect=(effect := max(0.02 + 0.004 * n, 0.3 - 0.012 * hours_ago - 0.05 * n)),
            p=0.001,
            adjusted=0.004,
            state=State.DRIFTED if effect > 0.1 else State.STABLE,
        )
        for n, feature in enumerate(FEATURES)
    )
    prior = Finding(
        kind=Kind.PRIOR,
        subject="label",
        statistic="ratio",
        threshold=0.3,
        reference_rows=40_000,
        rows=90,
        state=State.TOO_FEW,
    )
    page = "runs:/1/drift.html" if hours_ago == 0 else None
    return DriftReport(
        system="fraud",
        known_before_ms=END_MS,
        window=WINDOW,
        model_version="1",
        findings=(*findings, prior),
        alerts=alerts_of(findings, lambda _: WINDOW.start_ms),
        page=page,
    )


def write_all(lake: str) -> None:
    """All of it, with a parity report and the quality gate's."""
    write_report(lake, HOUR, performance(), {PAGE: b"<p>performance</p><script>alert(1)</script>"})
    write_report(lake, HOUR, estimated())
    for hours_ago in range(30):
        write_report(lake, HOUR - timedelta(hours=hours_ago), drift(hours_ago))
    day = HOUR.date()
    _write(layout.parity(lake, "fraud", day), {"compared": 1200, "mismatches": 2})
    _write(
        layout.quality(lake, "transactions", day), {"status": "failed", "rows": 9, "failed": ["amount"], "run": None}
    )


def _write(url: str, found: object) -> None:
    fs, folder = open_lake(url)
    fs.makedirs(folder, exist_ok=True)
    fs.pipe_file(f"{folder}/report.json", json.dumps(found).encode())


def evidently_page(file: Path) -> None:
    """A page as Evidently makes it: a program in the page."""
    file.write_text("<html><body><p id=p>waits</p><script>document.getElementById('p').textContent = 'ran'</script>")
