"""What is drawn by chance comes as often as is said of it."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest

from serving.systems.recommendation.exploring import draw

DRAWS = 20_000


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"fresh": 0.5, "untried": 0.5}, {"a": 0.25, "b": 0.375, "c": 0.125, "d": 0.125, "e": 0.125}),
        ({"fresh": 0.8, "untried": 0.2}, {"a": 0.4, "b": 0.45, "c": 0.05, "d": 0.05, "e": 0.05}),
    ],
)
def test_each_comes_as_often_as_its_propensity_says(weights: dict[str, float], expected: dict[str, float]) -> None:
    rng, pools = np.random.default_rng(5), {"fresh": ["a", "b"], "untried": ["b", "c", "d", "e"]}
    drawn = [draw(pools, weights, rng) for _ in range(DRAWS)]
    said = {each.id: each.propensity for each in drawn if each}
    assert said == pytest.approx(expected)
    for id_, n in Counter(each.id for each in drawn if each).items():
        assert abs(n / DRAWS - said[id_]) < 4 * sqrt(said[id_] * (1 - said[id_]) / DRAWS), id_


def test_an_empty_pool_leaves_its_chance_to_the_others_and_of_nothing_nothing_is_drawn() -> None:
    rng = np.random.default_rng(5)
    assert draw({"fresh": [], "untried": ["a"]}, {"fresh": 0.9, "untried": 0.1}, rng) == ("a", "untried", 1.0)
    assert draw({"fresh": []}, {"fresh": 1.0}, rng) is None
