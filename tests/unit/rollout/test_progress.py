"""When the tiles of all events up to a moment can be read, from what Kafka and Redis say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from lamina.rollout.generation import Generation
from lamina.rollout.progress import Read, StreamProgress, unfilled
from lamina.settings import load_settings
from lamina.store.filled import Until
from lamina.store.redis import RedisStore
from tests.unit.rollout.sets import OLD

OLDER = Generation(OLD)
EVENTS, TILES = "t1-transactions", "t1-feature-tiles"


@dataclass
class Services:
    """First offset and the one after the last, by topic and partition; what is committed, and what is moved."""

    spans: dict[tuple[str, int], tuple[int, int]]
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)


@pytest.fixture
def services() -> Services:
    return Services({(EVENTS, 0): (5, 20), (EVENTS, 1): (7, 7), (TILES, 0): (0, 30), (TILES, 1): (4, 4)})


@pytest.fixture
def progress(services: Services, monkeypatch: pytest.MonkeyPatch) -> StreamProgress:
    def spans(self: object, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
        return {place: span for place, span in services.spans.items() if place[0] in topics}

    def committed(self: object, places: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        return {place: services.committed.get(place, 0) for place in places}

    monkeypatch.setattr(StreamProgress, "_spans", spans)
    monkeypatch.setattr(StreamProgress, "_committed", committed)
    monkeypatch.setattr(StreamProgress, "_moved", lambda self: services.moved)
    return StreamProgress(load_settings(topic_prefix="t1-"), OLDER, RedisStore("redis://127.0.0.1:1"))


def test_events_are_read_once_all_before_the_end_are_committed(services: Services, progress: StreamProgress) -> None:
    ends = progress.ends()
    assert ends == {(EVENTS, 0): 20}, "of an empty partition nothing is to be read"
    services.spans[EVENTS, 0] = (5, 90)
    for committed, read in ((0, False), (19, False), (20, True), (50, True)):
        services.committed[EVENTS, 0] = committed
        assert progress.has_read(ends) is read


def test_tiles_are_moved_once_the_store_says_so(services: Services, progress: StreamProgress) -> None:
    ends = progress.tiles_end()
    assert ends == {(TILES, 0): 30}
    for moved, done in ({}, False), ({0: 29}, False), ({0: 30}, True):
        services.moved = moved
        assert progress.has_moved(ends) is done


def test_what_is_left_is_counted_from_what_the_topics_still_hold(services: Services, progress: StreamProgress) -> None:
    assert progress.now() == Read(events=15, left=15, tiles=30)
    services.committed[EVENTS, 0], services.moved = 12, {0: 28}
    assert progress.now() == Read(events=15, left=8, tiles=2)
    services.committed[EVENTS, 0], services.moved = 20, {0: 30}
    assert progress.now() == Read(events=15, left=0, tiles=0)


def test_batch_tiles_are_there_up_to_the_end_and_as_far_back() -> None:
    first, second = OLDER.plan.tile_specs
    there = {first.key: Until(2000, first.reach), second.key: Until(2000, (second.horizon_s - 1, *second.reach[1:]))}
    assert unfilled([first, second], {}, 1000) == [first, second]
    assert unfilled([first, second], there, 2000) == [second]
    assert unfilled([first, second], there, 2001) == [first, second]
    assert unfilled([], there, 2001) == []
