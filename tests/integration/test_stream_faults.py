"""The sink while one side is slow, full, away or forgetful: nothing is skipped, and it goes on by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from lamina.errors import StoreUnavailable
from lamina.local.stack import Stack
from lamina.store.protocol import OnlineStore
from lamina.store.redis import RedisStore
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.sink_metrics import NoMetrics
from lamina.streams.topics import create_topics
from tests.integration.test_stream import USERS, committed, expected, produce, stored, until

pytestmark = pytest.mark.services
VERSIONS = 3


class Counted(NoMetrics):
    """How often the store refused, and how often it had forgotten."""

    def __init__(self) -> None:
        self.refusals = self.rewinds = 0

    def refused(self) -> None:
        self.refusals += 1

    def rewound(self) -> None:
        self.rewinds += 1


@contextmanager
def running(options: SinkOptions, store: OnlineStore, metrics: NoMetrics | None = None) -> Iterator[TileSink]:
    sink = TileSink(options, store, metrics)
    thread = threading.Thread(target=sink.run)
    thread.start()
    try:
        yield sink
    finally:
        sink.stop()
        thread.join(60)


@pytest.fixture
def options(kafka: str, topic_prefix: str) -> SinkOptions:
    create_topics(kafka, topic_prefix)
    return SinkOptions(bootstrap=kafka, topic_prefix=topic_prefix)


def test_a_slow_redis_is_waited_for(options: SinkOptions, clean_redis: str) -> None:
    store, metrics, client = RedisStore(clean_redis, timeout_ms=200), Counted(), Redis.from_url(clean_redis)
    with running(options, store, metrics):
        produce(options.bootstrap, options.topic_prefix, 1)
        until(lambda: stored(store) == expected(1))
        client.client_pause(3000, all=False)
        produce(options.bootstrap, options.topic_prefix, VERSIONS)
        until(lambda: stored(store) == expected(VERSIONS))
    assert metrics.refusals > 0
    assert committed(options.bootstrap, options.topic_prefix) == (1 + VERSIONS) * USERS
    client.close()


def test_a_full_redis_stops_the_sink_until_there_is_room(options: SinkOptions, clean_redis: str) -> None:
    store, metrics, client = RedisStore(clean_redis), Counted(), Redis.from_url(clean_redis)
    try:
        with running(options, store, metrics):
            produce(options.bootstrap, options.topic_prefix, 1)
            until(lambda: committed(options.bootstrap, options.topic_prefix) == USERS)
            client.config_set("maxmemory", "1")
            produce(options.bootstrap, options.topic_prefix, VERSIONS)
            until(lambda: metrics.refusals > 2)
            assert stored(store) == expected(1)
            assert committed(options.bootstrap, options.topic_prefix) == USERS
            client.config_set("maxmemory", "0")
            until(lambda: stored(store) == expected(VERSIONS))
    finally:
        client.config_set("maxmemory", "0")
        client.close()
    assert committed(options.bootstrap, options.topic_prefix) == (1 + VERSIONS) * USERS


def test_a_redis_that_stays_full_is_named(options: SinkOptions, clean_redis: str) -> None:
    client = Redis.from_url(clean_redis)
    client.config_set("maxmemory", "1")
    try:
        short = SinkOptions(bootstrap=options.bootstrap, topic_prefix=options.topic_prefix, give_up_s=0.5)
        with pytest.raises(StoreUnavailable, match="Redis is full: raise its maxmemory"):
            TileSink(short, RedisStore(clean_redis)).run()
    finally:
        client.config_set("maxmemory", "0")
        client.close()


def test_a_broker_that_is_away_for_a_while_is_waited_for(options: SinkOptions, stack: Stack, clean_redis: str) -> None:
    store, broker = RedisStore(clean_redis), stack.pids()["kafka"]
    with running(options, store):
        produce(options.bootstrap, options.topic_prefix, 1)
        until(lambda: stored(store) == expected(1))
        os.kill(broker, signal.SIGSTOP)
        try:
            time.sleep(5)
        finally:
            os.kill(broker, signal.SIGCONT)
        produce(options.bootstrap, options.topic_prefix, VERSIONS)
        until(lambda: stored(store) == expected(VERSIONS))


def test_a_redis_that_lost_its_newest_writes_is_filled_again(options: SinkOptions, tmp_path: Path) -> None:
    """As when it is killed before its file holds what it has acknowledged. Nothing new arrives."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("LAMINA_")}
    with Stack(tmp_path, services={"redis"}, env=env, preferred_ports=False) as own:
        store, metrics = RedisStore(own.addresses["redis"]), Counted()
        with running(options, store, metrics):
            produce(options.bootstrap, options.topic_prefix, 1)
            until(lambda: committed(options.bootstrap, options.topic_prefix) == USERS)
            # In a folder of its own since Redis 7.
            (file,) = [f for f in (own.layout.data / "redis").rglob("*.aof") if ".base." not in f.name]
            size = file.stat().st_size
            produce(options.bootstrap, options.topic_prefix, VERSIONS)
            until(lambda: committed(options.bootstrap, options.topic_prefix) == (1 + VERSIONS) * USERS)
            own.stop_service("redis")
            os.truncate(file, size)
            own.start("redis")
            until(lambda: metrics.rewinds > 0)
            until(lambda: stored(store) == expected(VERSIONS))


def test_sinks_come_and_go_while_tiles_arrive(options: SinkOptions, clean_redis: str) -> None:
    """Partitions change hands twice; what each wrote and noted is where the other goes on."""
    store = RedisStore(clean_redis)
    with running(options, store):
        for n in range(1, 4):
            produce(options.bootstrap, options.topic_prefix, n)
        with running(options, store):
            for n in range(4, 7):
                produce(options.bootstrap, options.topic_prefix, n)
            until(lambda: stored(store) == expected(6))
        produce(options.bootstrap, options.topic_prefix, 7)
        until(lambda: stored(store) == expected(7))
    assert committed(options.bootstrap, options.topic_prefix) == sum(range(1, 8)) * USERS
