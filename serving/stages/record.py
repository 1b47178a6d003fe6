"""Answers recorded in the metrics, by system. Hot path: a metric's child is looked up once, not at each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice

from prometheus_client import Counter, Histogram

from lamina.contracts.served import MODEL, NO_FALLBACK, Served
from lamina.monitoring import metrics
from serving.stages.budget import LOG

CHILDREN = 4096
"""Kept per metric; more than there are versions, stages and rules in force."""
NO_VERSION = "none"
"""The label of answers that no model gave."""
EMPTY, NO_SOURCE = "empty", "none"
"""The labels of a list of nothing, and of items of which nobody says what found them."""


@lru_cache(CHILDREN)
def counter(metric: Counter, *labels: str) -> Callable[[], None]:
    """Counts one more of these labels."""
    return metric.labels(*labels).inc


@lru_cache(CHILDREN)
def histogram(metric: Histogram, *labels: str) -> Callable[[float], None]:
    """Takes a value of these labels."""
    return metric.labels(*labels).observe


def record_stale(system: str, views: Iterable[str]) -> None:
    """Count an answer on features of views that are stale."""
    for view in views:
        counter(metrics.STALE_FEATURES, system, view)()


def record(served: Served, log_ms: float) -> None:
    """Count one answer, whose events took `log_ms` to log."""
    system, model = served.system, served.models.get(MODEL)
    status = "ok" if served.fallback == NO_FALLBACK else served.fallback
    version = model.version if model is not None else NO_VERSION
    counter(metrics.PREDICTIONS, system, version, status)()
    histogram(metrics.PREDICTION_LATENCY, system, version)(served.latency_ms / 1000)
    for stage, ms in served.stage_ms.items():
        histogram(metrics.STAGE_LATENCY, system, stage)(ms / 1000)
    histogram(metrics.STAGE_LATENCY, system, LOG)(log_ms / 1000)
    if model is not None:
        for score in islice(served.outputs.values(), 1):
            histogram(metrics.SCORES, system, model.version)(score)
    if served.action is not None:
        counter(metrics.DECISIONS, system, served.action)()
        if served.intended is not None:
            counter(metrics.PASSED_THROUGH, system, served.action)()
    if served.fallback != NO_FALLBACK:
        counter(metrics.FALLBACKS, system, served.fallback)()
    if served.feature_age_ms is not None:
        histogram(metrics.FEATURE_AGE, system)(served.feature_age_ms / 1000)
    for entity in served.unknown:
        counter(metrics.UNKNOWN_SUBJECTS, system, entity)()


def record_list(system: str, served: Sequence[Served], fallback: str, log_ms: float) -> None:
    """Count one list, whose events took `log_ms` to log. Times are those of the whole, which each item repeats."""
    counter(metrics.LISTS, system, fallback if served else EMPTY)()
    if not served:
        return
    record(served[0], log_ms)
    for each in served:
        for candidate in each.candidates:
            counter(metrics.LIST_ITEMS, system, candidate.source or NO_SOURCE)()
    for each in served[1:]:
        for score in islice(each.outputs.values(), 1):
            histogram(metrics.SCORES, system, each.models[MODEL].version)(score)
