"""Steps of inputs that change with every moment: how far apart two values of one may be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.definitions import load, system_names
from lamina.scoring.moving import SHARE, moving, step_of
from tests.parity.everything import EVERYTHING


def test_what_moves_follows_from_the_definitions() -> None:
    fraud = moving(load("fraud"))
    assert {"since_last_txn", "since_merchant_first_fraud", "since_merchant_last_fraud"} <= fraud.keys()
    # Between two events, and as old as a window: these change when something happens.
    assert not {"merchant_honest_since_fraud", "amount", "txn_count_1h", "hour_of_day"} & fraud.keys()
    assert moving(load("activity"))["item_heat_1h"] == 0.0


@pytest.mark.parametrize("features", [*map(load, system_names()), EVERYTHING], ids=lambda f: f.system)
def test_every_elapsed_time_until_now_and_every_decayed_count_moves(features: object) -> None:
    found = moving(features)  # type: ignore[arg-type]
    for own in features.elapsed:  # type: ignore[attr-defined]
        assert (own.name in found) is (own.until is None)
    for window in features.window_features:  # type: ignore[attr-defined]
        assert (window.name in found) is (window.aggregate.kind == "decayed_count")
    for ratio in features.ratios:  # type: ignore[attr-defined]
        assert (ratio.name in found) is bool({ratio.numerator, ratio.denominator} & found.keys())


@pytest.mark.parametrize("smallest", [0.0, 1.0])
def test_values_of_one_step_are_no_further_apart_than_is_said(smallest: float) -> None:
    rng = np.random.default_rng(3)
    values = np.sort(np.concatenate([10 ** rng.uniform(-3, 8, 20_000), -(10 ** rng.uniform(-3, 5, 5_000)), [0.0]]))
    steps: dict[object, list[float]] = {}
    for value in values.tolist():
        steps.setdefault(step_of(value, smallest), []).append(value)
    assert len(steps) < len(values) / 4
    for own in steps.values():
        apart = max(own) - min(own)
        assert apart <= SHARE * min(map(abs, own)) * (1 + 1e-9) or apart < smallest


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 0.0, "text"])
def test_what_has_no_steps_stays(value: object) -> None:
    assert step_of(value, 1.0) is value  # type: ignore[arg-type]
