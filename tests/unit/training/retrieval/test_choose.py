from __future__ import annotations

import pytest

from lamina.evaluation.holdout import by_user
from lamina.scoring.interactions import Interactions
from lamina.training.retrieval.choose import NothingToChoose, choose
from lamina.training.retrieval.ease import Ease
from lamina.training.retrieval.popularity import Popularity
from lamina.training.retrieval.protocol import Method


def tastes() -> Interactions:
    """Of two kinds of users, each meets twelve of his own twenty items; the second kind is twice as many."""
    rows = [(user, f"{user % 3 > 0}-{(user * 7 + 3 * n) % 20}") for user in range(60) for n in range(12)]
    return Interactions.of([u for u, _ in rows], [i for _, i in rows])


def test_the_best_on_the_rows_to_choose_by_is_chosen() -> None:
    parts = by_user(tastes(), 0)
    methods: list[Method] = [Popularity(), Ease(5.0), Ease(1e9), Ease(5.0)]
    choice = choose(methods, parts.train, parts.valid)
    assert choice.method is methods[1]
    assert [tried.method for tried in choice.tried] == methods
    assert choice.tried[1].value == max(tried.value for tried in choice.tried) > choice.tried[0].value


def test_nothing_to_choose_from_is_refused() -> None:
    parts = by_user(tastes(), 0)
    with pytest.raises(NothingToChoose):
        choose([], parts.train, parts.valid)
