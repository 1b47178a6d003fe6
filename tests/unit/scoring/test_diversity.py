from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.scoring.diversity import BadDiversity, Limit, diversified

SCORES = np.array([1.0, 0.9, 0.6, 0.0])
VECTORS = np.array([[1, 0], [2, 0], [0.1, np.sqrt(0.99)], [0, 1]])


def test_without_limits_it_is_the_order_of_the_scores() -> None:
    assert diversified(np.array([1, 3, 2, 3]), 3).tolist() == [1, 3, 2]
    assert diversified(SCORES, 9, vectors=VECTORS).tolist() == [0, 1, 2, 3]


def test_at_most_so_many_of_one_value_are_shown() -> None:
    scores = np.arange(10, 0, -1.0)
    channels = ["a", "a", "a", "b", "a", "b", "b", None, None, None]
    assert diversified(scores, 6, limits=[Limit(channels, 2)]).tolist() == [0, 1, 3, 5, 7, 8]
    assert diversified(scores, 10, limits=[Limit(channels, 1)]).tolist() == [0, 3, 7, 8, 9]


def test_all_limits_hold() -> None:
    scores = np.arange(4, 0, -1.0)
    limits = [Limit(["a", "a", "b", "c"], 1), Limit(["x", "y", "x", "z"], 1)]
    assert diversified(scores, 4, limits=limits).tolist() == [0, 3]


def test_what_is_like_what_was_taken_waits() -> None:
    """The example of the module."""
    assert diversified(SCORES, 2, vectors=VECTORS, trade=0.5).tolist() == [0, 2]
    assert diversified(SCORES, 2, vectors=VECTORS, trade=0.95).tolist() == [0, 1]
    # Of all that were taken the nearest counts, and a limit holds with it.
    assert diversified(SCORES, 4, vectors=VECTORS, trade=0.5).tolist() == [0, 2, 1, 3]
    assert diversified(SCORES, 3, vectors=VECTORS, trade=0.5, limits=[Limit("abbc", 1)]).tolist() == [0, 2, 3]


def test_how_large_scores_are_changes_nothing() -> None:
    for shift, scale in ((0.0, 1e6), (-50.0, 1e-6)):
        assert diversified(SCORES * scale + shift, 2, vectors=VECTORS, trade=0.5).tolist() == [0, 2]


def test_candidates_that_are_all_alike_or_none() -> None:
    assert diversified(np.ones(3), 2, vectors=np.zeros((3, 2)), trade=0.0).tolist() == [0, 1]
    assert diversified(np.empty(0), 2, limits=[Limit([], 1)]).tolist() == []


@pytest.mark.parametrize(
    ("named", "what"),
    [
        ({"k": 0}, "k 0 and limits"),
        ({"trade": 1.1, "vectors": VECTORS}, "trade 1.1"),
        ({"limits": [Limit("abcd", 0)]}, "at least 1"),
        ({"limits": [Limit("abc", 1)]}, "4 candidates need as many"),
        ({"vectors": VECTORS[:2], "trade": 0.5}, "as many vectors"),
        ({"trade": 0.5}, "needs vectors"),
        ({"scores": SCORES * np.nan}, "not finite"),
    ],
)
def test_what_cannot_be_is_refused(named: dict[str, object], what: str) -> None:
    with pytest.raises(BadDiversity, match=what):
        diversified(**({"scores": SCORES, "k": 2} | named))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from("abc")), max_size=12), st.integers(1, 3))
def test_nothing_better_was_left_out_but_by_the_limit(candidates: list[tuple[int, str]], most: int) -> None:
    scores, values = np.array([c[0] for c in candidates], float), [c[1] for c in candidates]
    found = diversified(scores, 6, limits=[Limit(values, most)]).tolist()
    kept = Counter(values[place] for place in found)
    assert max(kept.values(), default=0) <= most and len(set(found)) == len(found)
    for place in set(range(len(values))) - set(found):
        full = kept[values[place]] == most or len(found) == 6
        worse = [other for other in found if scores[other] < scores[place] and values[other] == values[place]]
        assert full and not worse
