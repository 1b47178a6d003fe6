"""Which parts of a long write are done, as Redis keeps it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from lamina.errors import StoreUnavailable, WritesLost
from lamina.store.progress import Progress
from lamina.store.protocol import WriteSequence
from lamina.store.redis import sequence_key

WEEK_S = 7 * 24 * 3600


@pytest.fixture
def redis(clean_redis: str) -> Iterator[Redis]:
    with Redis.from_url(clean_redis) as client:
        yield client


def test_a_part_is_done_once_its_last_write_stands(clean_redis: str, redis: Redis) -> None:
    progress = Progress(clean_redis, "backfill")
    assert progress.done() == frozenset()
    redis.set(sequence_key("w"), 4)
    progress.record(0, WriteSequence("w", 4))
    progress.record(12, WriteSequence("w", 4))
    assert progress.done() == {0, 12} == Progress(clean_redis, "backfill").done()
    assert Progress(clean_redis, "another").done() == frozenset()
    (key,) = redis.keys("lamina:progress:*")
    assert WEEK_S - 5 <= redis.ttl(key) <= WEEK_S


@pytest.mark.parametrize("held", [None, 3, 5])
def test_a_part_whose_last_write_does_not_stand_is_not_done(clean_redis: str, redis: Redis, held: int | None) -> None:
    if held is not None:
        redis.set(sequence_key("w"), held)
    progress = Progress(clean_redis, "backfill")
    with pytest.raises(WritesLost, match="w"):
        progress.record(1, WriteSequence("w", 4))
    assert progress.done() == frozenset()


def test_what_is_cleared_is_done_anew(clean_redis: str, redis: Redis) -> None:
    redis.set(sequence_key("w"), 1)
    progress = Progress(clean_redis, "backfill")
    progress.record(1, WriteSequence("w", 1))
    progress.clear()
    assert progress.done() == frozenset()
    assert redis.get(sequence_key("w")) == b"1"


def test_a_redis_that_does_not_answer_is_told() -> None:
    progress = Progress("redis://127.0.0.1:1/0", "backfill", timeout_ms=100)
    for call in (progress.done, progress.clear, lambda: progress.record(1, WriteSequence("w", 1))):
        with pytest.raises(StoreUnavailable):
            call()


def test_the_wait_is_in_milliseconds(clean_redis: str) -> None:
    options = Progress(clean_redis, "w", timeout_ms=250)._redis.connection_pool.connection_kwargs
    assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.25
    assert Progress(clean_redis, "w")._redis.connection_pool.connection_kwargs["socket_timeout"] == 5
