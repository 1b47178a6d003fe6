"""Chance that can be asked for again, and lists whose propensities are the chances that they were drawn with."""

from __future__ import annotations

import numpy as np

from lamina.worlds.recommendation.drawn import chosen, uniform
from lamina.worlds.recommendation.policy import draw
from lamina.worlds.recommendation.truth import POSITIONS

ROWS = 40_000


def test_uniform_numbers_are_uniform_and_have_nothing_to_do_with_each_other() -> None:
    n = np.arange(ROWS)
    keyed = [uniform(7, n), uniform(8, n), uniform(7, n, 0), uniform(7, 0, n), uniform(7, n // 200, n % 200)]
    for u in keyed:
        assert u.min() >= 0 and u.max() < 1
        assert np.abs(np.histogram(u, 10, (0, 1))[0] / ROWS - 0.1).max() < 0.008
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.02
    assert np.abs(np.corrcoef(keyed) - np.eye(len(keyed))).max() < 0.02


def test_weights_are_drawn_by_their_shares() -> None:
    found = chosen(np.tile([1.0, 1.0, 4.0], (ROWS, 1)), uniform(3, np.arange(ROWS)))
    assert set(np.unique(found)) == {0, 2}, "what weighs nothing is never drawn"
    assert abs((found == 2).mean() - 0.75) < 0.01


def test_a_propensity_is_the_chance_of_being_drawn_there() -> None:
    """Weights 4, 2, 2 and one that cannot be drawn: see the module's example."""
    score = np.tile(np.append(np.log([4.0, 2.0, 2.0]), -np.inf), (ROWS, 1))
    order, propensity = draw(score, np.random.default_rng(1).gumbel(size=score.shape))
    first, second = order[:, 0], order[:, 1]
    assert abs((first == 1).mean() - 2 / 8) < 0.01
    assert np.allclose(propensity[first == 1, 0], 2 / 8)
    assert abs((second[first == 1] == 0).mean() - 4 / 6) < 0.01
    assert np.allclose(propensity[(first == 1) & (second == 0), 1], 4 / 6)
    assert np.allclose(propensity[:, 2], 1.0)
    assert (propensity[:, 3] == 0).all() and (order[:, 3] == 3).all()


def test_of_many_candidates_a_list_is_drawn() -> None:
    score = np.random.default_rng(2).normal(size=(50, 40))
    order, propensity = draw(score, np.zeros(score.shape))
    assert order.shape == propensity.shape == (50, POSITIONS)
    assert (np.diff(np.take_along_axis(score, order, axis=1), axis=1) <= 0).all()
    assert (propensity > 0).all() and (propensity <= 1).all()
