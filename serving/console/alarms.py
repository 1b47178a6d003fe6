"""Alerts of the newest reports, as rows for the first page: what this process shows Prometheus of the lake."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.monitoring import metrics
from serving.console.figures import samples

WORST_FIRST = ("critical", "warning")


@dataclass(frozen=True)
class Alarm:
    """So many alerts of one name in the newest report of a kind."""

    system: str
    report: str
    alert: str
    severity: str
    count: int


def alarms() -> list[Alarm]:
    """What fires now, the worst first."""
    found = [
        Alarm(
            each.labels["system"], each.labels["report"], each.labels["alert"], each.labels["severity"], int(each.value)
        )
        for each in samples(metrics.MONITORING_ALERTS, "")
        if each.value > 0
    ]
    return sorted(found, key=lambda a: (_rank(a.severity), a.system, a.report, a.alert))


def _rank(severity: str) -> int:
    """How far behind the worst it comes; one that is not known here comes last.

    >>> _rank("critical"), _rank("warning"), _rank("info")
    (0, 1, 2)
    """
    return WORST_FIRST.index(severity) if severity in WORST_FIRST else len(WORST_FIRST)
