"""What a process has counted, as rows."""

from __future__ import annotations

import orjson
import pytest

from lamina.monitoring import metrics
from serving.console import figures
from tests.console_site import payment


def labelled(metric: object, name: str) -> dict[str, str]:
    """Labels for a metric, of a system that no other test counts."""
    return {label: name for label in metric._labelnames}  # type: ignore[attr-defined]


def test_traffic_since_somebody_looked_before() -> None:
    now_s = [10.0]
    looks = figures.Looks(lambda: now_s[0])
    counter = metrics.PREDICTIONS.labels(system="looked-at", model_version="7", status="ok")
    counter.inc(5)
    assert (row := of("looked-at", looks.traffic())).answers == 5 and row.per_second is None
    counter.inc(20)
    now_s[0] += 4
    assert (row := of("looked-at", looks.traffic())).answers == 25 and row.per_second == 5.0


def of(system: str, rows: list[figures.Traffic]) -> figures.Traffic:
    (row,) = (row for row in rows if row.system == system)
    return row


def test_latency_is_the_end_of_a_bucket() -> None:
    for seconds, times in ((0.0008, 60), (0.004, 39), (2.0, 1)):
        labels = labelled(metrics.PREDICTION_LATENCY, "none") | {"system": "timed"}
        for _ in range(times):
            metrics.PREDICTION_LATENCY.labels(**labels).observe(seconds)
    (row,) = (row for row in figures.spreads(figures.latencies(), scale=1000.0) if row.system == "timed")
    assert (row.answers, row.p50, row.p99) == (100, 1.0, 5.0)


def test_versions_and_arms_of_the_newest_answers() -> None:
    def raw(n: int, **changes: object) -> bytes:
        model = {"models": {"model": {"name": "fraud", "version": "3"}}, "arm": "trees", "latency_ms": float(n)}
        return orjson.dumps(orjson.loads(payment(1).to_json()) | model | changes)

    answers = [raw(n) for n in range(1, 101)]
    answers += [raw(9, arm=None, models={}), raw(1, shadow=True)]
    found = figures.sides(figures.times({"fraud": answers}))
    assert [(row.version, row.arm, row.answers, row.p50_ms, row.p99_ms) for row in found] == [
        ("3", "trees", 100, 50.0, 99.0),
        ("no model", "-", 1, 9.0, 9.0),
    ]


def test_what_a_table_says_of_an_answer() -> None:
    shown = figures.shown(payment(2).to_json())
    assert (shown["request_id"], shown["subjects"], shown["action"]) == ("r-2", "user u-1, merchant m-2", "review")
    assert shown["score"] == pytest.approx(0.64) and shown["version"] == "no model"


def test_how_fresh_features_were() -> None:
    for age_s, times in ((3.0, 60), (1e9, 40)):
        for _ in range(times):
            metrics.FEATURE_AGE.labels(**labelled(metrics.FEATURE_AGE, "aged")).observe(age_s)
    (row,) = (row for row in figures.spreads(figures.ages()) if row.system == "aged")
    assert (row.answers, row.p50, row.p99) == (100, 5.0, None)


def test_traffic_of_several_processes_is_added_by_version_and_status() -> None:
    rows = [
        figures.Traffic("fraud", "3", "ok", 5, 1.0),
        figures.Traffic("fraud", "4", "ok", 1, 0.5),
        figures.Traffic("fraud", "3", "ok", 7, None),
        figures.Traffic("fraud", "3", "ok", 2, 0.25),
        figures.Traffic("fraud", "3", "failed", 9, None),
    ]
    assert figures.added_traffic(rows) == [
        figures.Traffic("fraud", "3", "failed", 9, None),
        figures.Traffic("fraud", "3", "ok", 14, 1.25),
        figures.Traffic("fraud", "4", "ok", 1, 0.5),
    ]


def test_a_share_of_all_answers_is_no_mean_of_shares() -> None:
    quick = figures.Buckets("fraud", "3", {"0.001": 98.0, "1.0": 98.0, "+Inf": 98.0})
    slow = figures.Buckets("fraud", "3", {"0.001": 0.0, "1.0": 2.0, "+Inf": 2.0})
    (row,) = figures.spreads([quick, slow])
    assert (row.answers, row.p50, row.p99) == (100, 0.001, 1.0)
    times = [figures.Times("fraud", "3", "a", [1.0, 2.0]), figures.Times("fraud", "3", "a", [3.0])]
    assert [(row.answers, row.p50_ms, row.p99_ms) for row in figures.sides(times)] == [(3, 2.0, 3.0)]
