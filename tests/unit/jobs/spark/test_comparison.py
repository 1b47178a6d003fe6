from __future__ import annotations

import pytest

from jobs.spark.comparison import Comparison
from jobs.spark.parity_report import make_report, render
from lamina.clock import day_of
from lamina.definitions import load
from lamina.semantics.reference import Value

FEATURES = load("fraud")
COMPARISON = Comparison(FEATURES)
EXPECTED: dict[str, Value] = {n: "grocery" if n in FEATURES.categorical else 1.0 for n in FEATURES.names}


@pytest.mark.parametrize(
    ("name", "a", "b", "same"),
    [
        ("txn_count_1h", 3.0, 3.0 + 1e-7, False),
        ("total_amount_1h", 3.0, 3.0 + 1e-7, True),
        ("total_amount_1h", 3.0, 3.0 + 1e-4, False),
        ("std_txn_amount", 0.0, 1e-8, True),
        ("merchant_fraud_risk_1d", 1 / 3, 0.3333333, True),
        ("last_lat", None, None, True),
        ("last_lat", None, 0.0, False),
        ("merchant_category", "grocery", "travel", False),
        ("merchant_category", "grocery", None, False),
    ],
)
def test_tolerance_is_by_feature(name: str, a: Value, b: Value, same: bool) -> None:
    assert COMPARISON.same(name, a, b) is same
    assert COMPARISON.same(name, b, a) is same


def test_an_absent_feature_is_served_as_missing_and_an_unknown_one_is_extra() -> None:
    served = {n: v for n, v in EXPECTED.items() if n != "amount"} | {"unknown": 1.0}
    matching, differing = COMPARISON.split(served, EXPECTED)
    assert differing == {"amount": 1.0, "unknown": None}
    assert set(matching) == set(FEATURES.names) - {"amount"}
    assert COMPARISON.unexplained("amount", None, 1.0).outcome == "missing"
    assert COMPARISON.unexplained("unknown", 1.0, None).outcome == "extra"
    assert COMPARISON.unexplained("amount", 2.0, 1.0).outcome == "mismatch"


def test_every_feature_is_explained_by_one_entity_or_by_none() -> None:
    by_entity = [n for e in FEATURES.entities for n in COMPARISON.explainable(e)]
    assert len(set(by_entity)) == len(by_entity)
    assert set(FEATURES.names) - set(by_entity) == {f.name for f in FEATURES.request_features}


def test_the_report_adds_up_and_escapes_what_it_shows() -> None:
    counted = [
        {"feature": "amount", "outcome": "match", "n": 5, "early": 0, "largest": None},
        {"feature": "amount", "outcome": "stale", "n": 2, "early": 1, "largest": 0.5},
        {"feature": "amount", "outcome": "mismatch", "n": 1, "early": 0, "largest": 2.0},
        {"feature": "<b>", "outcome": "extra", "n": 1, "early": 0, "largest": None},
    ]
    example = {
        "feature": "amount", "outcome": "mismatch", "early": False, "at_ms": 0, "request_id": "<script>",
        "served": "3.0", "expected": "1.0", "readable": "null",
        "tiles": "[[[1000,2]],[[1000,2],[2000,1]]]",
    }  # fmt: skip
    decisions = {"decisions": 9, "compared": 8}
    report = make_report(FEATURES, day_of(0), decisions, counted, [example])
    found = {f["feature"]: f for f in report["features"]}
    assert found["amount"]["compared"] == 8
    assert found["amount"]["largest_difference"] == 2.0
    assert (report["values"], report["match"], report["stale"], report["early"]) == (9, 5, 2, 1)
    assert report["mismatches"] == 2
    page = render(report)
    assert "&lt;script&gt;" in page and "<script>" not in page and "&lt;b&gt;" in page
    assert "readable, 1 tiles: 1970-01-01 00:00:01.000 &times; 2<br>recomputed, 2 tiles" in page
    assert "2 of 9 values are not explained" in page
