from __future__ import annotations

import numpy as np
import pytest

from lamina.evaluation.head_figures import auc_within, calibration_error, head_figures

RNG = np.random.default_rng(5)
P = RNG.beta(1.0, 4.0, 20_000)
HAPPENED = (RNG.random(len(P)) < P).astype(np.float64)
ONES = np.ones(len(P))


def test_figures_of_a_probability_by_hand() -> None:
    truth, value = np.array([1.0, 0.0, 1.0, np.nan]), np.array([0.8, 0.4, 0.3, 0.9])
    found = head_figures("binary", truth, value, np.array([1.0, 1.0, 2.0, 9.0]))
    assert found["auc"] == pytest.approx(1 / 3)
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.6) + 2 * np.log(0.3)) / 4)
    assert found["calibration_error"] == pytest.approx((0.2 + 0.4 + 2 * 0.7) / 4)


def test_figures_of_a_quantity_by_hand() -> None:
    truth, value = np.array([10.0, 0.0, 4.0, np.nan]), np.array([8.0, 1.0, 0.5, 9.0])
    found = head_figures("quantity", truth, value, np.array([1.0, 1.0, 2.0, 9.0]))
    assert found["mean_error"] == pytest.approx((2 + 1 + 2 * 3.5) / 4)
    assert found["rank_correlation"] == pytest.approx(0.5)
    assert found["mean_ratio"] == pytest.approx((8 + 1 + 1) / (10 + 0 + 8))
    assert found["calibration_error"] == pytest.approx((2 + 1 + 7) / 4 / (18 / 4))


def test_what_is_calibrated_has_the_error_of_chance_and_what_is_not_more() -> None:
    assert calibration_error(HAPPENED, P, ONES) < 0.01
    assert calibration_error(HAPPENED, P**0.5, ONES) > 0.15
    # Right on the whole, and wrong at both ends.
    assert calibration_error(HAPPENED, np.full(len(P), P.mean()) + (P.mean() - P), ONES) > 0.1


def test_rows_that_are_all_alike_have_no_figures() -> None:
    for truth in (np.ones(4), np.full(4, np.nan)):
        with pytest.raises(ValueError, match="rows that differ are needed"):
            head_figures("binary", truth, np.arange(4.0), np.ones(4))


def test_within_a_position_what_positions_did_is_no_merit() -> None:
    """A score that only says where a row was shown tells nothing apart there."""
    position = RNG.integers(1, 4, len(P))
    clicked = RNG.random(len(P)) < P * 0.3**position
    over_all = head_figures("binary", clicked.astype(float), -position.astype(float), ONES)["auc"]
    assert over_all > 0.6 and auc_within(clicked, -position.astype(np.float64), position) == 0.5
    assert auc_within(clicked, P, position) > 0.7


def test_positions_count_by_the_pairs_that_they_hold() -> None:
    positive = np.array([True, False, True, False, False, True])
    score = np.array([0.9, 0.1, 0.2, 0.5, 0.6, 0.7])
    assert auc_within(positive, score, np.array([1, 1, 2, 2, 2, 3])) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="at no position"):
        auc_within(positive, score, np.arange(6))
