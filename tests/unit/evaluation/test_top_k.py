from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from lamina.evaluation.top_k import FIGURES, NothingToRank, Ranked, figures, gains, measure
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.popular import Popular

ITEMS = np.array(list("abcde"), dtype=object)
RETRIEVER = Popular(ITEMS, np.array([5.0, 4.0, 3.0, 2.0, 1.0], np.float32))


def test_each_figure_worked_out_by_hand() -> None:
    """Places 1 and 3 of 3 are hits, of four relevant items."""
    found = figures(np.array([[True, False, True]]), np.array([4]))
    best = 1 + 1 / np.log2(3) + 0.5
    expected = {"recall": 0.5, "precision": 2 / 3, "hit": 1.0, "mrr": 1.0, "ndcg": 1.5 / best, "map": (1 + 2 / 3) / 4}
    assert {name: value[0] for name, value in found.items()} == pytest.approx(expected)


def test_a_user_without_a_hit_has_nothing() -> None:
    assert {float(value[0]) for value in figures(np.zeros((1, 5), bool), np.array([2])).values()} == {0.0}


def test_ndcg_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth, scores = rng.random((40, 30)) < 0.2, rng.random((40, 30))
    truth[:, 0] |= ~truth.any(axis=1)
    places = np.argsort(-scores, axis=1)[:, :10]
    found = figures(np.take_along_axis(truth, places, axis=1), truth.sum(axis=1))
    assert found["ndcg"].mean() == pytest.approx(ndcg_score(truth, scores, k=10), abs=1e-12)


def pairs(*rows: tuple[str, str]) -> Interactions:
    return Interactions.of([user for user, _ in rows], [item for _, item in rows])


def measured(asked: Interactions, rows: list[tuple[int, int]], k: int) -> Ranked:
    """Of a test over the same users and items: places of both."""
    test = asked.take(np.empty(0, np.int64))
    users, items = (
        (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else (test.user, test.item)
    )
    return measure(RETRIEVER, asked, Interactions(asked.users, asked.items, users, items, np.ones(len(rows))), k)


def test_seen_items_give_way_and_users_without_a_test_are_left_out() -> None:
    asked = pairs(("u", "a"), ("v", "b"), ("w", "a"), ("w", "e"))
    found = measured(asked, [(0, 1), (2, 1)], 1)  # u and w are to find b
    assert found.users.tolist() == ["u", "w"]
    assert found.means()["recall"] == 1.0
    assert found.covered == 2  # b for u and w, a for v


def test_an_item_that_the_retriever_does_not_know_counts_against_it() -> None:
    asked = pairs(("u", "a"), ("v", "z"))
    found = measured(asked, [(0, 1), (1, 0)], 5)  # u is to find z, v is to find a
    assert found.by_user["recall"].tolist() == [0.0, 1.0]
    assert found.by_user["ndcg"].tolist() == [0.0, 1.0]


def test_what_was_not_shown_is_no_hit() -> None:
    """u has met all that there is, a among it: a is behind places that stay empty, and was not recommended."""
    asked = pairs(*(("u", item) for item in ITEMS))
    assert measured(asked, [(0, 0)], 5).means()["hit"] == 0.0


def test_more_places_than_items() -> None:
    asked = pairs(("u", "a"), ("v", "e"))
    assert measured(asked, [(0, 1)], 20).means()["precision"] == pytest.approx(1 / 20)


def test_nobody_to_find_anything_is_refused() -> None:
    with pytest.raises(NothingToRank, match="no user"):
        measured(pairs(("u", "a")), [], 3)


def of(values: list[float]) -> Ranked:
    return Ranked(
        np.array([f"u{i}" for i in range(len(values))], dtype=object), {name: np.array(values) for name in FIGURES}
    )


def test_gains_are_paired_user_by_user() -> None:
    """Both vary much, and one is always 0.1 better: unpaired, an interval would hold 0."""
    rng = np.random.default_rng(3)
    base = rng.random(60)
    found = gains(of((base + 0.1).tolist()), of(base.tolist()), ("recall",))["recall"]
    assert (found.difference, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    noise = gains(of(rng.random(60).tolist()), of(base.tolist()), ("recall",))["recall"]
    assert noise.low < noise.difference < noise.high and noise.high - noise.low > 0.1


def test_rankings_of_other_users_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different users"):
        gains(of([1.0]), of([1.0, 0.0]))
