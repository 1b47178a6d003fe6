"""Drift by feature over the last reports, as rows of squares for a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lamina.monitoring.drift.findings import Finding, Severity, State
from lamina.monitoring.drift.report import DriftReport

ROWS = 12
NEAR = 0.5
"""From this share of its threshold on a feature is near it."""
LEVELS = {
    "calm": "less than half of its threshold",
    "near": "from half of it on",
    "chance": "beyond it, and chance explains it",
    "warning": "drifted",
    "critical": "drifted, critical",
    "none": "not compared",
}
"""What squares say, in the order of their colours."""


@dataclass(frozen=True)
class Square:
    """One finding of one hour: its level, and what is said of it."""

    level: str
    text: str


@dataclass(frozen=True)
class Heat:
    """A row a feature, a column a report, the oldest first; None where an hour says nothing of a feature."""

    hours: Sequence[datetime]
    rows: Sequence[tuple[str, Sequence[Square | None]]]


def heat(found: Sequence[tuple[datetime, DriftReport]]) -> Heat:
    """The features that were furthest beyond their thresholds, or nearest to them, in any of the reports, the oldest of
    which comes first.
    """
    furthest: dict[str, float] = {}
    by_hour: list[dict[str, Finding]] = []
    for _, report in found:
        worst: dict[str, Finding] = {}
        for finding in report.findings:
            what = name(finding)
            if what not in worst or beyond(finding) > beyond(worst[what]):
                worst[what] = finding
            furthest[what] = max(furthest.get(what, 0.0), beyond(finding))
        by_hour.append(worst)
    shown = sorted(furthest, key=lambda what: (-furthest[what], what))[:ROWS]
    return Heat(
        [hour for hour, _ in found],
        [(what, [_square(worst.get(what)) for worst in by_hour]) for what in shown],
    )


def name(finding: Finding) -> str:
    """What is compared, as a row is called.

    >>> name(Finding(kind="prior", subject="label", statistic="ratio", threshold=1, reference_rows=1, rows=1))
    'prior: label'
    """
    return f"{finding.kind}: {finding.subject}"


def beyond(finding: Finding) -> float:
    """How many times its threshold an effect is, for certain."""
    return finding.certain / finding.threshold


def level(finding: Finding) -> str:
    """Which of `LEVELS` it is."""
    if finding.severity is not None:
        return "critical" if finding.severity is Severity.CRITICAL else "warning"
    if finding.state is not State.STABLE:
        return "none"
    share = beyond(finding)
    return "chance" if share > 1 else "near" if share >= NEAR else "calm"


def _square(finding: Finding | None) -> Square | None:
    return None if finding is None else Square(level(finding), finding.message)
