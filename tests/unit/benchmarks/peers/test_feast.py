"""What Feast is given to read, and how what it answers is held to that."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.feast_read import different
from benchmarks.peers.feast_values import rows_of, views_of
from lamina.definitions.fraud import FEATURES
from lamina.semantics.plan import make_plan

PLAN = make_plan(FEATURES)
VIEWS = {
    "spend": {"key": "user_id", "features": ["count", "mean"]},
    "fraud": {"key": "merchant_id", "features": ["risk"]},
}
REQUESTS = [{"user_id": u, "merchant_id": m, "amount": 1.0} for u, m in (("a", "x"), ("b", "x"), ("a", "y"))]
VALUES: list[dict[str, Any]] = [
    {"count": 1.0, "mean": 2.0, "risk": 0.5},
    {"count": 3.0, "mean": None, "risk": 0.6},
    {"count": 4.0, "mean": 5.0, "risk": None},
]


def test_every_feature_that_needs_no_request_is_in_the_view_of_its_entity() -> None:
    views = views_of(PLAN)
    listed = [feature for view in views.values() for feature in view["features"]]
    of_request = {f.name for f in FEATURES.request_features} | {e.name for e in FEATURES.elapsed}
    of_request |= {"amount_to_mean", "amount_to_max"}
    assert sorted(listed) == sorted(set(PLAN.features.names) - of_request)
    assert "merchant_fraud_risk_7d" in views["merchant_fraud"]["features"]
    assert {name: view["key"] for name, view in views.items()}["user_history"] == "user_id"


def test_an_entity_has_the_features_of_its_newest_request() -> None:
    assert rows_of(VIEWS, REQUESTS, VALUES) == {
        "spend": [{"user_id": "a", "count": 4.0, "mean": 5.0}, {"user_id": "b", "count": 3.0, "mean": None}],
        "fraud": [{"merchant_id": "x", "risk": 0.6}, {"merchant_id": "y", "risk": None}],
    }


def test_a_value_that_comes_back_otherwise_is_counted() -> None:
    wanted = {"views": VIEWS, "requests": REQUESTS, "rows": rows_of(VIEWS, REQUESTS, VALUES)}
    right: dict[str, list[Any]] = {"count": [4.0, 3.0, 4.0], "mean": [5.0, float("nan"), 5.0], "risk": [0.6, 0.6, None]}
    assert different(wanted, right) == 0
    assert different(wanted, right | {"count": [4.0, 3.0, 1.0]}) == 1
    assert different(wanted, right | {"risk": [0.6, None, 0.0]}) == 2
