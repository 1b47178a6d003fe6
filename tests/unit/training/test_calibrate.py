from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lamina.scoring.trees_spec import Calibration
from lamina.training.calibrate import fit_calibration, held_out_scores
from models.fraud.recipe import RECIPE


def test_the_line_that_was_bent_is_found_and_straightened() -> None:
    rng = np.random.default_rng(0)
    true = rng.beta(0.3, 6, 200_000)
    fraud = rng.random(len(true)) < true
    bent = Calibration(slope=0.6, intercept=-0.4).apply(true)
    line = fit_calibration(fraud, bent)
    assert line is not None
    assert line.slope == pytest.approx(1 / 0.6, rel=0.05)
    top = (bent > 0.3) & (bent < 0.6)
    assert abs(bent[top].mean() - fraud[top].mean()) > 0.05 > abs(line.apply(bent)[top].mean() - fraud[top].mean())


@pytest.mark.parametrize("frauds", [0, 19, 1000])
def test_too_little_to_learn_from_leaves_scores_alone(frauds: int) -> None:
    fraud = np.arange(1000) < frauds
    assert fit_calibration(fraud, np.linspace(0.9, 0.1, 1000)) is None


def test_a_score_that_means_the_opposite_is_not_turned_round() -> None:
    fraud = np.arange(1000) < 100
    assert fit_calibration(fraud, np.linspace(0.1, 0.9, 1000)) is None


def test_rows_are_scored_by_models_that_did_not_see_their_user() -> None:
    """What only a user's own rows tell cannot be known: labels drawn by user, and the user as the one input."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(120), 10)
    fraud = (rng.random(120) < 0.3)[user]
    matrix = user.astype(np.float32)[:, None]
    settings: dict[str, Any] = {"negatives_per_positive": 0, "seed": 0, "threads": 1, "parameters": RECIPE.parameters}
    owners = user.astype(str).astype(object)
    apart = held_out_scores(matrix, fraud, owners, **settings)
    alike = held_out_scores(matrix, fraud, np.arange(1200).astype(str).astype(object), **settings)
    told = [scores[fraud].mean() - scores[~fraud].mean() for scores in (apart, alike)]
    assert told[0] < 0.1 < 0.3 < told[1]
