from __future__ import annotations

import numpy as np
import pytest

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers import recommend
from lamina.scoring.retrievers.popular import Popular

ITEMS = np.array(["a", "b", "c"], dtype=object)
RETRIEVER = Popular(ITEMS, np.array([3.0, 5.0, 3.0], np.float32))


def asked(*pairs: tuple[str, str]) -> Interactions:
    return Interactions.of([user for user, _ in pairs], [item for _, item in pairs])


def names(found: recommend.Top) -> list[list[str]]:
    return [
        [str(ITEMS[place]) for place, score in zip(places, scores, strict=True) if score > -np.inf]
        for places, scores in zip(found.place, found.score, strict=True)
    ]


def test_what_was_met_is_left_out_and_of_equals_the_smaller_id_comes_first() -> None:
    [found] = recommend.top(RETRIEVER, asked(("u", "b"), ("v", "z"), ("w", "a"), ("w", "b"), ("w", "c")), 2)
    assert names(found) == [["a", "c"], ["b", "a"], []]


def test_others_can_be_left_out_than_are_asked_by() -> None:
    [found] = recommend.top(RETRIEVER, asked(("u", "b")), 3, without=asked(("u", "a")))
    assert names(found) == [["b", "c"]]


def test_more_than_there_are_is_all_of_them() -> None:
    [found] = recommend.top(RETRIEVER, asked(("u", "z")), 9)
    assert names(found) == [["b", "a", "c"]]


def test_some_users_at_a_time_are_answered_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = asked(("u", "b"), ("v", "a"), ("w", "c"), ("w", "b"), ("x", "z"))
    [whole] = recommend.top(RETRIEVER, everyone, 2)
    monkeypatch.setattr(recommend, "TOGETHER", 2)
    parts = list(recommend.top(RETRIEVER, everyone, 2))
    assert [part.first for part in parts] == [0, 2]
    assert (
        [each for part in parts for each in names(part)] == names(whole) == [["a", "c"], ["b", "c"], ["a"], ["b", "a"]]
    )
