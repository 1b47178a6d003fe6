"""What a decision counts as, in the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.contracts.fraud_decisions import Decision, served_of
from lamina.contracts.reasons import Reason
from lamina.monitoring import metrics
from serving.stages.record import record, record_stale
from serving.systems.fraud.decide import count
from tests.unit.serving.recognisable import Bench, add_version

VERSION = "of the metrics' tests"


@pytest.fixture
def decision(tmp_path: Path) -> Decision:
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.25, tmp_path, "champion")
    bench.start()

    async def run() -> Decision:
        await bench.refresh()
        return await bench.decide("u1")

    return asyncio.run(run()).model_copy(
        update={
            "model_version": VERSION,
            "stage_ms": {"features": 3.0, "model": 1.5},
            "latency_ms": 7.0,
            "feature_age_ms": 2_500,
            "unknown_user": False,
            "reasons": [],
        }
    )


def value(of: Any) -> float:
    return float((of._sum if hasattr(of, "_sum") else of._value).get())


def grew(work: Callable[[], None], *of: Any) -> list[float]:
    before = [value(each) for each in of]
    work()
    return pytest.approx([value(each) - old for each, old in zip(of, before, strict=True)])  # type: ignore[return-value]


def recorded(decision: Decision, log_ms: float) -> None:
    served = served_of(decision)
    record(served, log_ms)
    count(served)


def test_times_are_told_in_seconds(decision: Decision) -> None:
    stage = metrics.STAGE_LATENCY.labels
    assert [0.003, 0.0015, 0.004, 0.007, 2.5, 0.25] == grew(
        lambda: recorded(decision, 4.0),
        stage("fraud", "features"),
        stage("fraud", "model"),
        stage("fraud", "log"),
        metrics.PREDICTION_LATENCY.labels("fraud", VERSION),
        metrics.FEATURE_AGE.labels("fraud"),
        metrics.SCORES.labels("fraud", VERSION),
    )


def test_what_is_stale_is_counted_by_system_and_view() -> None:
    assert [1, 1, 0] == grew(
        lambda: record_stale("shop", ["visits", "basket"]),
        metrics.STALE_FEATURES.labels("shop", "visits"),
        metrics.STALE_FEATURES.labels("shop", "basket"),
        metrics.STALE_FEATURES.labels("fraud", "visits"),
    )


def test_a_decision_by_the_model_is_one_of_its_version(decision: Decision) -> None:
    assert [1, 1, 0, 0] == grew(
        lambda: recorded(decision, 0.0),
        metrics.PREDICTIONS.labels("fraud", VERSION, "ok"),
        metrics.DECISIONS.labels("fraud", decision.action),
        metrics.UNKNOWN_USERS,
        metrics.PASSED_THROUGH.labels("fraud", decision.action),
    )


def test_a_decision_by_the_rules_says_why_and_which(decision: Decision) -> None:
    rules = {"score": None, "model_version": None, "fallback": "rules_only_deadline", "unknown_user": True}
    reasons = [
        Reason(kind="rule", code="recorded_one", detail="d"),
        Reason(kind="risk", code="recorded_two", detail="d"),
    ]
    changed = decision.model_copy(update=rules | {"reasons": reasons, "intended": "reject", "feature_age_ms": None})
    assert [1, 0.007, 1, 1, 1, 1, 0, 0] == grew(
        lambda: recorded(changed, 0.0),
        metrics.PREDICTIONS.labels("fraud", "none", "rules_only_deadline"),
        metrics.PREDICTION_LATENCY.labels("fraud", "none"),
        metrics.FALLBACKS.labels("fraud", "rules_only_deadline"),
        metrics.UNKNOWN_USERS,
        metrics.PASSED_THROUGH.labels("fraud", decision.action),
        metrics.RULES_FIRED.labels("recorded_one"),
        metrics.RULES_FIRED.labels("recorded_two"),
        metrics.FEATURE_AGE.labels("fraud"),
    )
