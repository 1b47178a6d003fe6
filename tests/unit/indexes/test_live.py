from __future__ import annotations

import numpy as np
import pytest

from lamina.indexes.changes import Change
from lamina.indexes.live import LiveIndex
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.retrieval import RetrievalError
from tests.unit.indexes.made import VERSION, items, users

IDS, VECTORS = items(600)


@pytest.fixture
def live() -> LiveIndex:
    return LiveIndex(ExactIndex(IDS[:500], VECTORS[:500], model_version=VERSION))


def found(index: LiveIndex | ExactIndex, k: int = 20) -> list[list[str]]:
    ids: list[list[str]] = index.search(users(5), k, model_version=VERSION).ids.tolist()
    return ids


def test_what_came_is_found_and_what_went_is_not(live: LiveIndex) -> None:
    gone = sorted({id_ for row in found(live) for id_ in row})
    assert live.apply(Change(VERSION, IDS[500:], VECTORS[500:], removed=gone))
    kept = [n for n, id_ in enumerate(IDS) if id_ not in gone]
    expected = ExactIndex([IDS[n] for n in kept], VECTORS[kept], model_version=VERSION)
    assert found(live) == found(expected) and found(live, 900) == found(expected, 900)
    assert (len(live), live.beside, live.hidden) == (600 - len(gone), 100, len(gone))
    assert gone[0] not in live and IDS[599] in live and IDS[0] in live


def test_the_last_vector_of_an_item_holds(live: LiveIndex) -> None:
    for turn in (3, 7):
        live.apply(Change(VERSION, IDS[:300], np.roll(VECTORS[:300], turn, axis=0)))
    vectors = np.concatenate([np.roll(VECTORS[:300], 7, axis=0), VECTORS[300:500]])
    assert found(live) == found(ExactIndex(IDS[:500], vectors, model_version=VERSION))
    assert len(live) == 500


def test_what_went_may_come_again(live: LiveIndex) -> None:
    before = found(live)
    live.apply(Change(removed=IDS[:50]))
    live.apply(Change(removed=IDS[:50]))
    assert len(live) == 450 and not {id_ for row in found(live, 450) for id_ in row} & set(IDS[:50])
    live.apply(Change(VERSION, IDS[:50], VECTORS[:50]))
    assert found(live) == before and len(live) == 500
    live.apply(Change(removed=IDS[:50]))
    assert len(live) == 450 and IDS[0] not in live


def test_the_main_index_is_asked_for_no_more_than_it_takes(live: LiveIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    search = live.main.search

    def noted(*arguments: object, **named: object) -> object:
        asked.append(arguments[1])
        return search(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(live.main, "search", noted)
    best = found(live, 40)[0]
    live.apply(Change(removed=best))
    asked.clear()
    assert not set(found(live, 10)[0]) & set(best)
    assert asked == [20, 40, 50]


def test_everything_may_go(live: LiveIndex) -> None:
    live.apply(Change(removed=IDS[:500]))
    assert len(live) == 0 and found(live) == [[], [], [], [], []]


def test_vectors_of_another_version_wait_for_the_next_build(live: LiveIndex) -> None:
    assert not live.apply(Change("5", IDS[500:], VECTORS[500:], removed=IDS[:1]))
    assert live.beside == 0 and IDS[0] not in live and len(live) == 499
    assert live.apply(Change("", removed=IDS[1:2]))


def test_a_change_that_does_not_fit_changes_nothing(live: LiveIndex) -> None:
    with pytest.raises(RetrievalError, match="'item-500' has not the 16 numbers"):
        live.apply(Change(VERSION, IDS[500:], VECTORS[500:, :4], removed=IDS[:1]))
    assert len(live) == 500 and IDS[0] in live
