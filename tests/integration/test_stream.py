"""The sink between a real broker and a real Redis: what it does when one side fails, and what it repeats."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis

from lamina.errors import StoreUnavailable
from lamina.settings import ROOT
from lamina.store.memory import MemoryStore
from lamina.store.protocol import ReadKey, TileWrite, WriteSequence
from lamina.store.redis import RedisStore
from lamina.streams import dead_letters
from lamina.streams.rebuild import replay
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.topics import create_topics

pytestmark = pytest.mark.services
USERS = 20
FIELD = "transactions@1s#ab12cd/1533686400000"


class SilentStore(MemoryStore):
    """A store that does not answer the first `silent` writes."""

    def __init__(self, silent: int) -> None:
        super().__init__()
        self.silent, self.asked = silent, 0

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        self.asked += 1
        if self.asked <= self.silent:
            raise StoreUnavailable("asked to be silent")
        return super().write_tiles(tiles, sequence)


class ForgetfulStore(MemoryStore):
    """A store that is restarted after `writes` writes, with nothing of what it held."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        self.left -= 1
        if self.left == 0:
            super().__init__()
        return super().write_tiles(tiles, sequence)


def produce(bootstrap: str, prefix: str, versions: int = 3) -> None:
    """`versions` states of one tile a user."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(1, versions + 1):
        for user in range(USERS):
            producer.produce(prefix + "feature-tiles", b"%d\x1f%d" % (n, user), f"user:{user}\t{FIELD}".encode())
    assert producer.flush(30) == 0


def committed(bootstrap: str, prefix: str) -> int:
    """How many messages the sink has committed."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{prefix}lamina-sink"})
    places = consumer.committed([TopicPartition(f"{prefix}feature-tiles", p) for p in range(4)], 30)
    consumer.close()
    return sum(max(place.offset, 0) for place in places)


def stored(store: MemoryStore | RedisStore) -> list[bytes]:
    replies = store.read([ReadKey("user", str(user), ()) for user in range(USERS)]).replies
    return [reply.speed.get(FIELD.encode(), b"") for reply in replies]


def expected(n: int) -> list[bytes]:
    return [b"%d\x1f%d" % (n, user) for user in range(USERS)]


def until(found: Callable[[], bool], deadline_s: float = 60) -> None:
    deadline = time.monotonic() + deadline_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def options(kafka: str, topic_prefix: str) -> SinkOptions:
    create_topics(kafka, topic_prefix)
    return SinkOptions(bootstrap=kafka, topic_prefix=topic_prefix, until_now=True, give_up_s=0.5)


def test_a_silent_store_is_asked_again(options: SinkOptions) -> None:
    produce(options.bootstrap, options.topic_prefix)
    store = SilentStore(2)
    TileSink(options, store).run()
    assert stored(store) == expected(3)
    assert store.asked > 2


def test_nothing_is_committed_that_was_not_written(options: SinkOptions) -> None:
    produce(options.bootstrap, options.topic_prefix)
    with pytest.raises(StoreUnavailable):
        TileSink(options, SilentStore(10_000)).run()
    assert committed(options.bootstrap, options.topic_prefix) == 0
    store = MemoryStore()
    TileSink(options, store).run()
    assert stored(store) == expected(3)
    assert committed(options.bootstrap, options.topic_prefix) == 3 * USERS


def test_an_empty_store_is_filled_from_the_start(options: SinkOptions) -> None:
    produce(options.bootstrap, options.topic_prefix)
    TileSink(options, MemoryStore()).run()
    again = MemoryStore()
    TileSink(options, again).run()
    assert stored(again) == expected(3)


def test_a_store_is_filled_from_the_start_when_asked_to(options: SinkOptions) -> None:
    """Although it says that it holds everything."""
    produce(options.bootstrap, options.topic_prefix)
    store = MemoryStore()
    TileSink(options, store).run()
    store._speed.clear()
    TileSink(options, store).run()
    assert stored(store) == [b""] * USERS
    TileSink(dataclasses.replace(options, from_start=True), store).run()
    assert stored(store) == expected(3)


def test_what_a_restarted_store_has_lost_is_written_again(options: SinkOptions) -> None:
    produce(options.bootstrap, options.topic_prefix)
    store = ForgetfulStore(5)
    TileSink(dataclasses.replace(options, batch_messages=7), store).run()
    assert store.left < 0
    assert stored(store) == expected(3)


def test_a_store_that_was_emptied_is_filled_while_nothing_arrives(kafka: str, topic_prefix: str) -> None:
    create_topics(kafka, topic_prefix)
    produce(kafka, topic_prefix)
    store = MemoryStore()
    sink = TileSink(SinkOptions(bootstrap=kafka, topic_prefix=topic_prefix), store)
    thread = threading.Thread(target=sink.run)
    thread.start()
    try:
        until(lambda: stored(store) == expected(3))
        store.__init__()  # type: ignore[misc]
        until(lambda: stored(store) == expected(3))
    finally:
        sink.stop()
        thread.join(30)


def test_a_rebuild_beside_the_sink_leaves_its_offsets_alone(options: SinkOptions) -> None:
    produce(options.bootstrap, options.topic_prefix)
    TileSink(options, MemoryStore()).run()
    before, rebuilt = committed(options.bootstrap, options.topic_prefix), MemoryStore()
    replay(options.bootstrap, options.topic_prefix, rebuilt)
    assert stored(rebuilt) == expected(3)
    assert committed(options.bootstrap, options.topic_prefix) == before == 3 * USERS


def test_a_broken_message_does_not_stop_the_others(options: SinkOptions) -> None:
    producer = Producer({"bootstrap.servers": options.bootstrap})
    producer.produce(options.topic, b"1", b"no tile")
    assert producer.flush(30) == 0
    produce(options.bootstrap, options.topic_prefix)
    store = MemoryStore()
    TileSink(options, store).run()
    assert stored(store) == expected(3)
    (letter,) = dead_letters.read(options.bootstrap, options.topic_prefix)
    assert (letter.topic, letter.raw) == ("feature-tiles", "MQ==")


def test_two_sinks_share_the_topic(kafka: str, topic_prefix: str) -> None:
    """The second takes partitions over; what both wrote is written once as far as a reader can tell."""
    create_topics(kafka, topic_prefix)
    store = MemoryStore()
    sinks = [TileSink(SinkOptions(bootstrap=kafka, topic_prefix=topic_prefix), store) for _ in range(2)]
    threads = [threading.Thread(target=sink.run) for sink in sinks]
    for n, thread in enumerate(threads, 1):
        thread.start()
        produce(kafka, topic_prefix, versions=n)
        until(lambda n=n: stored(store) == expected(n))  # type: ignore[misc]
    for sink, thread in zip(sinks, threads, strict=True):
        sink.stop()
        thread.join(30)
    assert committed(kafka, topic_prefix) == 3 * USERS


def test_the_process_ends_its_batch_on_sigterm(kafka: str, topic_prefix: str, clean_redis: str) -> None:
    create_topics(kafka, topic_prefix)
    env = {
        **os.environ,
        "LAMINA_KAFKA_BOOTSTRAP": kafka,
        "LAMINA_REDIS_URL": clean_redis,
        "LAMINA_TOPIC_PREFIX": topic_prefix,
    }
    process = subprocess.Popen([sys.executable, "-m", "lamina.streams.sink"], cwd=ROOT, env=env)
    try:
        produce(kafka, topic_prefix)
        until(lambda: stored(RedisStore(clean_redis)) == expected(3))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert committed(kafka, topic_prefix) == 3 * USERS


def test_the_process_ends_with_an_error_when_redis_is_gone(kafka: str, topic_prefix: str) -> None:
    create_topics(kafka, topic_prefix)
    produce(kafka, topic_prefix)
    env = {
        **os.environ,
        "LAMINA_KAFKA_BOOTSTRAP": kafka,
        "LAMINA_REDIS_URL": "redis://127.0.0.1:1/0",
        "LAMINA_TOPIC_PREFIX": topic_prefix,
    }
    command = [sys.executable, "-m", "lamina.streams.sink", "--give-up-s", "1"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 1
    assert "LAMINA_REDIS_URL" in done.stderr
    assert committed(kafka, topic_prefix) == 0


def test_every_entity_has_one_hash(options: SinkOptions, clean_redis: str) -> None:
    produce(options.bootstrap, options.topic_prefix)
    TileSink(options, RedisStore(clean_redis)).run()
    client = Redis.from_url(clean_redis)
    assert sorted(client.scan_iter("user*")) == sorted(f"user:{user}".encode() for user in range(USERS))
    client.close()
