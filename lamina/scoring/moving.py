"""Inputs that change with every moment though nothing happens, and the steps in which a kept prediction sees them.

Seconds since a time and decayed counts have another value each millisecond, so a prediction named by them exactly
would never be asked for again. Two values of one step differ by less than a hundredth, or less than a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from lamina.contracts.features import FeatureSet
from lamina.scoring.protocol import Value

SHARE = 0.01
"""Largest relative difference within a step."""
_LOG = math.log1p(SHARE)


def moving(features: FeatureSet) -> Mapping[str, float]:
    """The features whose value changes with the time asked for alone, each with its smallest step.

    Seconds until now have one of a second; decayed counts, what is chosen among such, and ratios of any of these, none
    but the share.

    >>> from lamina.definitions.fraud import FEATURES
    >>> moving(FEATURES)["since_last_txn"], "merchant_honest_since_fraud" in moving(FEATURES)
    (1.0, False)
    """
    found = {e.name: 1.0 for e in features.elapsed if e.until is None}
    found |= {f.name: 0.0 for f in features.window_features if f.aggregate.kind == "decayed_count"}
    found |= {c.name: 0.0 for c in features.chosen if found.keys() & {*c.parts}}
    return found | {r.name: 0.0 for r in features.ratios if found.keys() & {*r.parts}}


def step_of(value: Value, smallest: float) -> Value:
    """Names the step that `value` is in; what is no number, or no finite one, is a step of its own.

    >>> step_of(3610.0, 1.0) == step_of(3620.0, 1.0), step_of(4.2, 1.0) == step_of(5.1, 1.0)
    (True, False)
    """
    if not isinstance(value, int | float) or not math.isfinite(value) or value == 0:
        return value
    size = abs(value)
    if size * SHARE < smallest:
        return f"{math.floor(value / smallest)}s"
    return f"{'below' if value < 0 else 'above'} 0: {math.floor(math.log(size) / _LOG)}%"
