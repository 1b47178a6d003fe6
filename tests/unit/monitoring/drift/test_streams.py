"""Change detectors find what river and Frouros publish, and a rise of a model's errors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary

from lamina.monitoring.drift.distributions import Numbers
from lamina.monitoring.drift.streams import DETECTORS, changes, rank_errors, risen

_LEVELS = random.Random(12345)
LEVELS = np.array(_LEVELS.choices([0, 1], k=1000) + _LEVELS.choices(range(4, 8), k=1000), float)
"""The mean rises at 1,000 (docstrings of river 0.26.1)."""
_ERRORS = random.Random(42)
ERRORS = np.array(_ERRORS.choices([0, 1], k=1000) + _ERRORS.choices([0, 1], k=1000, weights=[0.3, 0.7]), float)
"""The share of ones rises from 0.5 to 0.7 at 1,000 (the same)."""


@pytest.mark.parametrize(
    ("detector", "stream", "expected"),
    [
        (drift.ADWIN(), LEVELS, [1023]),
        (drift.PageHinkley(), LEVELS, [1006]),
        (drift.KSWIN(alpha=0.0001, seed=42), LEVELS, [1016]),
        (binary.DDM(), ERRORS, [1334]),
        (binary.EDDM(alpha=0.8, beta=0.75), ERRORS, [1278]),
        (binary.HDDMA(), ERRORS, [1206]),
        (binary.HDDMW(), ERRORS, [1077]),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "drift_detected") else "",
)
def test_detectors_find_what_is_published(detector: Any, stream: np.ndarray[Any, Any], expected: list[int]) -> None:
    assert changes(detector, stream) == expected


def test_a_rise_of_errors_is_found_near_its_place_and_a_fall_is_none() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.beta(1, 19, 700), rng.beta(2, 18, 700)])
    for name, make in DETECTORS.items():
        place = risen(values, changes(make(), values))
        assert place is not None and 700 < place < 1000, name
        assert risen(values[::-1], changes(make(), values[::-1])) is None, name


def test_errors_that_do_not_change_are_no_rise() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).beta(1, 19, 1_500)
        assert [risen(values, changes(make(), values)) for make in DETECTORS.values()] == [None, None], seed


def test_the_mean_rank_error_is_one_less_the_auc() -> None:
    rng = np.random.default_rng(7)
    negative, positive = rng.normal(0, 1, 4_000), rng.normal(1.5, 1, 300)
    reference = Numbers(np.sort(negative), np.ones(len(negative)), 0, 0.0)
    auc = (positive[:, None] > negative[None, :]).mean()
    assert rank_errors(reference, positive).mean() == pytest.approx(1 - auc, abs=1e-9)
