"""Decisions recorded in the metrics. Hot path: a metric's child is looked up once, not at each decision."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import Counter, Histogram

from lamina.contracts.fraud_decisions import SCORE, USER, reasons_of
from lamina.contracts.served import MODEL, NO_FALLBACK, Served
from lamina.monitoring import metrics

CHILDREN = 4096
"""Kept per metric; more than there are versions, stages and rules in force."""


@lru_cache(CHILDREN)
def _counter(metric: Counter, *labels: str) -> Callable[[], None]:
    return metric.labels(*labels).inc


@lru_cache(CHILDREN)
def _histogram(metric: Histogram, *labels: str) -> Callable[[float], None]:
    return metric.labels(*labels).observe


def record_metrics(served: Served, log_ms: float) -> None:
    """Count one decision, whose events took `log_ms` to log."""
    model, score = served.models.get(MODEL), served.outputs.get(SCORE)
    status = "ok" if served.fallback == NO_FALLBACK else served.fallback
    _counter(metrics.PREDICTIONS, model.version if model is not None else "none", status)()
    metrics.PREDICTION_LATENCY.observe(served.latency_ms / 1000)
    _counter(metrics.DECISIONS, str(served.action))()
    for stage, ms in served.stage_ms.items():
        _histogram(metrics.STAGE_LATENCY, stage)(ms / 1000)
    _histogram(metrics.STAGE_LATENCY, "log")(log_ms / 1000)
    if score is not None and model is not None:
        _histogram(metrics.SCORES, model.version)(score)
    if served.fallback != NO_FALLBACK:
        _counter(metrics.FALLBACKS, served.fallback)()
    if served.intended is not None:
        _counter(metrics.PASSED_THROUGH, str(served.action))()
    if USER in served.unknown:
        metrics.UNKNOWN_USERS.inc()
    if served.feature_age_ms is not None:
        metrics.FEATURE_AGE.observe(served.feature_age_ms / 1000)
    for reason in reasons_of(served):
        if reason["kind"] == "rule":
            _counter(metrics.RULES_FIRED, str(reason["code"]))()
