from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

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
    with pytest.raises(FrozenInstanceError):
        found.rows = ()  # type: ignore[misc]


def test_other_inputs_and_other_test_days_are_said_in_words() -> None:
    changed = [{"name": "amount", "meaning": "field(price)"}, {"name": "age", "meaning": "age"}]
    found = compare_specs(spec(), spec(inputs=changed, split={"kind": "time", "test_first": "2018-08-09"}))
    assert found.remarks[:3] == (
        "Inputs of the first alone: count.",
        "Inputs of the second alone: age.",
        "Inputs of another meaning in each: amount.",
    )
    assert "different test days" in found.remarks[3]
    turned = compare_specs(spec(inputs=changed, split={"kind": "time", "test_first": "2018-08-09"}), spec())
    assert turned.remarks == (
        "Inputs of the first alone: age.",
        "Inputs of the second alone: count.",
        "Inputs of another meaning in each: amount.",
        found.remarks[3],
    )


def test_all_but_the_inputs_is_compared_whatever_it_is_called() -> None:
    found = compare_specs(
        spec(calibration={"kind": "none"}, rate=0.123456789), spec(calibration={"kind": "beta"}, rate=0.5)
    )
    assert found.rows[:2] == (("metrics.auc", "0.9", "0.9"), ("metrics.average_precision", "0.7", "0.7"))
    assert found.rows[2:] == (("calibration.kind", "none", "beta"), ("rate", "0.123457", "0.5"))


def test_a_spec_without_inputs_or_split_is_compared_all_the_same() -> None:
    assert compare_specs('{"seed": 1}', '{"seed": 2}').rows == (("seed", "1", "2"),)
    assert compare_specs('{"seed": 1}', '{"seed": 2}').remarks == ()
    assert len(compare_specs('{"split": 1}', "{}").remarks) == 1
    several = [{"name": name, "meaning": name} for name in ("b", "a", "c")]
    (remark,) = compare_specs(json.dumps({"inputs": several}), '{"inputs": []}').remarks
    assert remark == "Inputs of the first alone: a, b, c."
