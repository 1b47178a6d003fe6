from __future__ import annotations

import json
from typing import Any

from lamina.registry.comparison import compare_specs


def spec(**changed: Any) -> str:
    document = {
        "seed": 1,
        "split": {"kind": "time", "test_first": "2018-08-08"},
        "parameters": {"xgboost": {"max_depth": 4}},
        "inputs": [{"name": "amount", "meaning": "field(amount)"}, {"name": "count", "meaning": "count(*)"}],
        "metrics": {"auc": 0.9, "average_precision": 0.7},
    }
    return json.dumps(document | changed)


def test_metrics_are_always_shown_and_the_rest_where_it_differs() -> None:
    other = spec(parameters={"xgboost": {"max_depth": 6}, "lightgbm": {"rounds": 9}}, metrics={"auc": 0.9})
    found = compare_specs(spec(), other)
    assert found.rows == (
        ("parameters.xgboost.max_depth", "4", "6"),
        ("metrics.auc", "0.9", "0.9"),
        ("metrics.average_precision", "0.7", "-"),
        ("parameters.lightgbm.rounds", "-", "9"),
    )
    assert found.remarks == ()


def test_other_inputs_and_other_test_days_are_said_in_words() -> None:
    changed = [{"name": "amount", "meaning": "field(price)"}, {"name": "age", "meaning": "age"}]
    found = compare_specs(spec(), spec(inputs=changed, split={"kind": "time", "test_first": "2018-08-09"}))
    assert found.remarks[:3] == (
        "Inputs of the first alone: count.",
        "Inputs of the second alone: age.",
        "Inputs of another meaning in each: amount.",
    )
    assert "different test days" in found.remarks[3]
