"""Which findings are drift: beyond their threshold, and more than chance gives when so many are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scipy import stats

from lamina.monitoring.drift.findings import Finding, Kind, State


def decided(findings: Sequence[Finding], significance: float) -> list[Finding]:
    """The findings, decided: each kind is corrected for the comparisons of its own, since what labels say is not looked
    at more often because there are many features.
    """
    return [f for kind in Kind for f in decide([each for each in findings if each.kind is kind], significance)]


def decide(findings: Sequence[Finding], significance: float) -> list[Finding]:
    """The findings, each with its corrected p and whether it drifted.

    Corrected by Benjamini and Hochberg (1995): of the findings that drifted a share of at most `significance` did so by
    chance.
    """
    compared = [i for i, finding in enumerate(findings) if finding.p is not None]
    ps = [float(findings[i].p or 0.0) for i in compared]
    adjusted = dict(zip(compared, stats.false_discovery_control(ps), strict=True)) if ps else {}
    return [
        _decided(finding, float(adjusted[i]), significance) if i in adjusted else finding
        for i, finding in enumerate(findings)
    ]


def _decided(finding: Finding, adjusted: float, significance: float) -> Finding:
    drifted = finding.certain > finding.threshold and adjusted <= significance
    return replace(finding, adjusted=adjusted, state=State.DRIFTED if drifted else State.STABLE)
