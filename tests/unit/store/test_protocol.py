from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from lamina.catalog import TOPICS
from lamina.definitions import load, system_names
from lamina.store.edges import Asked, Edges
from lamina.store.progress import PROGRESS_TTL_S, Progress
from lamina.store.protocol import SPEED_TTL_S, BatchWrite, ReadKey, WriteSequence
from lamina.store.reader import FeatureVector
from lamina.store.redis import BATCH_TTL_S, SEQUENCE_TTL_S, TREE_TTL_S, RedisStore


def test_the_mark_after_a_mark_is_one_further_and_the_same_writers() -> None:
    assert WriteSequence("sink", 4).next() == WriteSequence("sink", 5)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (BatchWrite("user:7", {}), "key"),
        (ReadKey("user", "7", ()), "id"),
        (Edges("t", 1000, ()), "longest_ms"),
        (FeatureVector({}, {}, {}, None, frozenset(), frozenset()), "stale"),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, str) else x,
)
def test_what_is_passed_on_cannot_be_changed(value: object, name: str) -> None:
    """It is kept in dictionaries, and handed to several readers."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_what_an_answer_is_for_is_no_part_of_the_key() -> None:
    """Of requests for one entity at several times Redis is asked once."""
    key = ReadKey("user", "7", ("t",))
    assert key == replace(key, asked=Asked(5, ()))
    assert len({key, replace(key, asked=Asked(5, ())), replace(key, has_speed=False)}) == 2
    assert key.has_speed


def test_the_speed_layer_keeps_an_entity_as_long_as_the_topic_of_its_tiles_could_bring_it_back() -> None:
    (tiles,) = (topic for topic in TOPICS if topic.name == "feature-tiles")
    a_day_s = 86_400
    assert SPEED_TTL_S == 3 * a_day_s
    assert int(tiles.config["retention.ms"]) >= 1000 * (SPEED_TTL_S + a_day_s)


def test_how_many_days_each_thing_is_kept() -> None:
    """The longest window is one of 90 days with a week's delay, and the batch layer may stand still for another."""
    kept = {
        "tiles": SPEED_TTL_S,
        "sums": TREE_TTL_S,
        "blobs": BATCH_TTL_S,
        "sequences": SEQUENCE_TTL_S,
        "parts": PROGRESS_TTL_S,
    }
    assert {name: s / 86_400 for name, s in kept.items()} == {
        "tiles": 3,
        "sums": 4,
        "blobs": 104,
        "sequences": 1,
        "parts": 7,
    }
    features = [f for system in system_names() for f in load(system).window_features]
    longest = max(f.window.s + f.view.delay.s for f in features)
    assert longest + 7 * 86_400 <= BATCH_TTL_S


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(lambda url, ms: RedisStore(url, timeout_ms=ms), id="store"),
        pytest.param(lambda url, ms: Progress(url, "work", timeout_ms=ms), id="progress"),
    ],
)
def test_a_wait_for_redis_is_as_long_as_was_said(client: Callable[[str, int], RedisStore | Progress]) -> None:
    given = client("redis://127.0.0.1:1/0", 1500)._redis.connection_pool.connection_kwargs
    assert (given["socket_timeout"], given["socket_connect_timeout"]) == (1.5, 1.5)


@pytest.mark.parametrize("client", [RedisStore("redis://127.0.0.1:1/0"), Progress("redis://127.0.0.1:1/0", "work")])
def test_a_wait_for_redis_is_five_seconds_where_nothing_is_said(client: RedisStore | Progress) -> None:
    assert client._redis.connection_pool.connection_kwargs["socket_timeout"] == 5.0
