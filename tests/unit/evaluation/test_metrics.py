from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lamina.evaluation.metrics import (
    Outcomes,
    curves,
    precision_at_recall,
    ranking,
    threshold_at_fpr,
    unit_precision,
    without_known,
)

TRAIN_FIRST, TEST_FIRST, TEST_LAST = 115, 129, 135
"""2018-07-25, 2018-08-08 and 2018-08-14, in days since 2018-04-01."""


def outcomes(
    fraud: list[int],
    score: list[float],
    user: list[str] | None = None,
    day: list[int] | None = None,
) -> Outcomes:
    n = len(fraud)
    return Outcomes(
        positive=np.array(fraud, bool),
        score=np.array(score, float),
        unit=np.array(user or [f"u{i}" for i in range(n)], object),
        day=np.array(day or [0] * n, np.int64),
    )


def test_a_card_counts_once_a_day_by_its_highest_score() -> None:
    found = outcomes([0, 1, 0, 0], [0.1, 0.2, 0.9, 0.5], user=["a", "a", "a", "b"])
    assert unit_precision(found, 1) == 1.0


def test_a_found_card_is_not_looked_at_again() -> None:
    found = outcomes([1, 1, 1], [0.9, 0.9, 0.5], user=["a", "a", "b"], day=[0, 1, 1])
    assert unit_precision(found, 1) == 1.0  # day 0 finds a, day 1 finds b although a scores higher


def test_a_missed_card_stays() -> None:
    found = outcomes([0, 1, 1], [0.9, 0.1, 0.8], user=["a", "b", "b"], day=[0, 0, 1])
    assert unit_precision(found, 1) == 0.5


def test_days_count_alike() -> None:
    found = outcomes([1, 0, 0], [0.9, 0.9, 0.1], user=["a", "b", "c"], day=[0, 1, 1])
    assert unit_precision(found, 1) == 0.5


def test_known_frauds_leave_after_the_delay() -> None:
    user = np.array(["a", "b", "c", "a", "b", "c", "b"], object)
    day = np.array([1, 2, 0, 10, 10, 10, 11], np.int64)
    fraud = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    kept = without_known(user, day, fraud, first=1, delay_days=8, rows=day >= 10)
    # On day 10 the fraud of day 1 is known, that of day 2 not yet, and that of day 0 lies before the training days.
    assert kept.tolist() == [False, False, False, False, True, True, False]


def test_the_protocol_leaves_the_published_rows(handbook: Path) -> None:
    """Le Borgne et al. 2022, chapters 3 and 4: rows of the split, and the best card precision@100 that it allows."""
    table = pd.read_parquet(handbook / "transactions.parquet")
    table = table[table.TX_TIME_DAYS.between(TRAIN_FIRST, TEST_LAST)]
    fraud, day, user = (
        table.TX_FRAUD.to_numpy() == 1,
        table.TX_TIME_DAYS.to_numpy(np.int64),
        table.CUSTOMER_ID.to_numpy(),
    )
    learn = day < TRAIN_FIRST + 7
    assert (learn.sum(), (learn & fraud).sum()) == (67_240, 598)
    kept = without_known(user, day, fraud, first=TRAIN_FIRST, delay_days=7, rows=day >= TEST_FIRST)
    assert (kept.sum(), (kept & fraud).sum()) == (58_264, 385)
    perfect = Outcomes(
        fraud[kept],
        fraud[kept].astype(float),
        user[kept].astype(object),
        day[kept],
    )
    assert round(unit_precision(perfect, 100), 3) == 0.397


def test_the_threshold_lets_only_so_many_through() -> None:
    rng = np.random.default_rng(0)
    fraud, score = rng.random(20_000) < 0.02, rng.random(20_000) + 0.0
    threshold = threshold_at_fpr(fraud, score, 0.001)
    allowed = int(0.001 * (~fraud).sum())
    assert (score[~fraud] >= threshold).sum() <= allowed < (score[~fraud] >= threshold - 0.001).sum()


def test_equal_scores_are_flagged_together_or_not_at_all() -> None:
    fraud = np.array([1, 0, 0, 0], bool)
    assert threshold_at_fpr(fraud, np.array([0.5, 0.5, 0.5, 0.1]), 0.5) == float("inf")


def test_precision_at_recall_takes_the_best_threshold() -> None:
    fraud, score = np.array([1, 0, 1, 0], bool), np.array([0.9, 0.8, 0.7, 0.1])
    assert precision_at_recall(fraud, score, 0.5) == 1.0
    assert precision_at_recall(fraud, score, 0.95) == pytest.approx(2 / 3)


@pytest.mark.parametrize("fraud", [[0, 0], [1, 1]])
def test_one_sided_tests_are_refused(fraud: list[int]) -> None:
    with pytest.raises(ValueError, match="both kinds are needed"):
        ranking(np.array(fraud, bool), np.array([0.1, 0.2]))


def test_curves_are_thinned_and_keep_their_ends() -> None:
    rng = np.random.default_rng(0)
    found = curves(rng.random(5000) < 0.1, rng.random(5000), points=50)
    assert all(len(found[name]) <= 50 for name in ("pr", "roc"))
    assert found["roc"][0] == [0.0, 0.0]
    assert found["roc"][-1] == [1.0, 1.0]
    assert found["pr"][-1][0] == 1.0
