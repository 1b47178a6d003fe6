"""Decisions recorded in the metrics. Hot path: a metric's child is looked up once, not at each decision."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import Counter, Histogram

from lamina.contracts.fraud_decisions import Decision
from lamina.monitoring import metrics

CHILDREN = 4096
"""Kept per metric; more than there are versions, stages and rules in force."""


@lru_cache(CHILDREN)
def _counter(metric: Counter, *labels: str) -> Callable[[], None]:
    return metric.labels(*labels).inc


@lru_cache(CHILDREN)
def _histogram(metric: Histogram, *labels: str) -> Callable[[float], None]:
    return metric.labels(*labels).observe


def record_metrics(decision: Decision, log_ms: float) -> None:
    """Count one decision, whose events took `log_ms` to log."""
    status = "ok" if decision.fallback == "none" else decision.fallback
    _counter(metrics.PREDICTIONS, decision.model_version or "none", status)()
    metrics.PREDICTION_LATENCY.observe(decision.latency_ms / 1000)
    _counter(metrics.DECISIONS, decision.action)()
    for stage, ms in decision.stage_ms.items():
        _histogram(metrics.STAGE_LATENCY, stage)(ms / 1000)
    _histogram(metrics.STAGE_LATENCY, "log")(log_ms / 1000)
    if decision.score is not None and decision.model_version is not None:
        _histogram(metrics.SCORES, decision.model_version)(decision.score)
    if decision.fallback != "none":
        _counter(metrics.FALLBACKS, decision.fallback)()
    if decision.intended is not None:
        _counter(metrics.PASSED_THROUGH, decision.action)()
    if decision.unknown_user:
        metrics.UNKNOWN_USERS.inc()
    if decision.feature_age_ms is not None:
        metrics.FEATURE_AGE.observe(decision.feature_age_ms / 1000)
    for reason in decision.reasons:
        if reason.kind == "rule":
            _counter(metrics.RULES_FIRED, reason.code)()
