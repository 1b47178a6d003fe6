"""The sink between a log and a store, both in this process: what it reads, notes and says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, TopicPartition

from lamina.contracts.dead_letters import DeadLetter
from lamina.errors import StoreUnavailable, StreamError, TopicChanged, WritesLost
from lamina.store.memory import MemoryStore
from lamina.store.protocol import SPEED_TTL_S, TileWrite, WriteSequence
from lamina.store.staleness import stream_watermark
from lamina.streams import dead_letters, sink
from lamina.streams.identity import TopicIdentity
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.sink_metrics import NoMetrics
from tests.unit.streams.fake_kafka import NOW, Consumer, Log, Time

LOG = "cluster-1:p-feature-tiles"


class Metrics(NoMetrics):
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.counted: list[str] = []
        self.lags: list[Mapping[int, int]] = []

    def moved(self, **what: Any) -> None:
        self.told.append(what)

    def refused(self) -> None:
        self.counted.append("refused")

    def rewound(self) -> None:
        self.counted.append("rewound")

    def uncommitted(self) -> None:
        self.counted.append("uncommitted")

    def lag(self, by_partition: Mapping[int, int]) -> None:
        self.lags.append(by_partition)


class Store(MemoryStore):
    """`silent`: how many writes are not answered; `lost`: how many find that the one before is gone."""

    silent = lost = 0

    def __init__(self) -> None:
        super().__init__()
        self.settled: list[dict[int, int]] = []

    def write_tiles(self, tiles: Sequence[TileWrite], sequence: WriteSequence | None = None) -> int:
        if self.silent:
            self.silent -= 1
            raise StoreUnavailable("silent")
        if self.lost:
            self.lost -= 1
            raise WritesLost("gone")
        return super().write_tiles(tiles, sequence)

    def commit_offsets(self, log: str, sequence: WriteSequence, offsets: Mapping[int, int]) -> None:
        super().commit_offsets(log, sequence, offsets)
        self.settled.append(dict(offsets))

    def payloads(self) -> dict[str, bytes]:
        return {f"{key} {name.decode()}": value for key, held in self._speed.items() for name, value in held.items()}


class World:
    """A log of two partitions, a store, and sinks between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.store, self.time = Log("p-feature-tiles", partitions=2), Store(), Time()
        self.metrics, self.topic_id = Metrics(), "id-1"
        self.letters: list[tuple[str, str, list[DeadLetter]]] = []
        self.prepare: Callable[[Consumer], None] = lambda consumer: None
        monkeypatch.setattr("confluent_kafka.Consumer", self._consumer)
        monkeypatch.setattr(sink, "time", self.time)
        monkeypatch.setattr(sink, "system_clock", lambda: NOW)
        monkeypatch.setattr(sink, "identity_of", lambda *_: TopicIdentity("cluster-1", self.topic_id))
        monkeypatch.setattr(dead_letters, "write", lambda *found: self.letters.append(found))

    def _consumer(self, options: dict[str, Any]) -> Consumer:
        self.consumer = Consumer(self.log, self.time, options)
        self.prepare(self.consumer)
        return self.consumer

    def sink(self, **options: Any) -> TileSink:
        given: dict[str, Any] = {"bootstrap": "b:1", "topic_prefix": "p-", "until_now": True} | options
        self.made = TileSink(SinkOptions(**given), self.store, self.metrics)
        return self.made

    def put(self, partition: int, user: int, value: bytes | None = b"1", at_ms: int = NOW) -> None:
        self.log.put(partition, f"user:{user}\tx@1s#a/{NOW - 5000 + user}".encode(), value, at_ms)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_all_tiles_come_into_the_store_and_the_end_is_noted(world: World) -> None:
    for user in range(5):
        world.put(user % 2, user)
    world.sink().run()
    assert world.store.payloads() == {f"user:{u} x@1s#a/{NOW - 5000 + u}": b"1" for u in range(5)}
    assert world.store._offsets[LOG] == {0: 3, 1: 2}
    assert world.store._through[stream_watermark("x")] == NOW - 5000 + 4
    assert world.consumer.commits[-1] == ({0: 3, 1: 2}, False)
    assert world.consumer.closed
    assert world.metrics.lags[-1] == {0: 0, 1: 0}


def test_kafka_notes_nothing_by_itself(world: World) -> None:
    world.sink().run()
    options = world.consumer.options
    assert (options["bootstrap.servers"], options["group.id"]) == ("b:1", "p-lamina-sink")
    assert options["enable.auto.commit"] is options["enable.auto.offset.store"] is False
    assert options["auto.offset.reset"] == "earliest"


def test_what_is_fetched_ahead_is_bounded_and_fetched_soon(world: World) -> None:
    world.sink().run()
    assert 1024 * world.consumer.options["queued.max.messages.kbytes"] == 64 * 2**20
    assert world.consumer.options["fetch.wait.max.ms"] == 50


def test_a_sink_that_is_given_nothing_else_works_as_documented(world: World) -> None:
    world.prepare = lambda consumer: setattr(consumer, "on_empty", lambda: world.made.stop())
    world.put(0, 1)
    world.sink(until_now=False).run()
    assert world.consumer.asked == [(2000, 0.02)] * 2
    with pytest.raises(TypeError):
        SinkOptions("b:1")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        SinkOptions(bootstrap="b:1").bootstrap = "b:2"  # type: ignore[misc]


def test_the_next_sink_goes_on_where_the_store_says(world: World) -> None:
    for user in range(4):
        world.put(user % 2, user)
    world.sink().run()
    world.put(1, 7)
    world.sink().run()
    assert world.consumer.read == [(1, 2)]
    world.sink(from_start=True).run()
    assert len(world.consumer.read) == 5


@pytest.mark.parametrize(("noted", "read"), [(9, 3), (10, 3), (11, 2), (13, 0), (14, 3)])
def test_what_is_noted_outside_of_the_log_is_not_believed(world: World, noted: int, read: int) -> None:
    world.log.first = 10
    for user in range(3):
        world.put(0, user)
    world.store._offsets[LOG] = {0: noted}
    world.sink().run()
    assert len(world.consumer.read) == read


def test_a_topic_made_anew_is_refused_until_it_is_read_from_its_start(world: World) -> None:
    world.put(0, 1)
    world.sink().run()
    world.topic_id = "id-2"
    with pytest.raises(TopicChanged, match=r"from the topic with id id-1, and it has id id-2 now\. `lamina features"):
        world.sink().run()
    world.sink(from_start=True).run()
    assert world.consumer.read == [(0, 0)]
    world.sink().run()


def test_another_clusters_topic_is_another_log(world: World) -> None:
    world.put(0, 1)
    world.sink().run()
    world.log.cluster = "cluster-2"
    world.sink().run()
    assert world.consumer.read == [(0, 0)]


@pytest.mark.parametrize("from_start", [False, True])
def test_lost_writes_are_read_again_from_where_the_store_says(world: World, from_start: bool) -> None:
    for user in range(6):
        world.put(0, user)
    world.store._offsets[LOG] = {0: 2}
    world.store._topics[LOG] = "id-1"
    world.store.lost = 1
    world.sink(from_start=from_start, batch_messages=3).run()
    assert world.metrics.counted == ["rewound"]
    begun = 0 if from_start else 2
    again = 2 if from_start else begun
    assert [offset for _, offset in world.consumer.read] == [*range(begun, begun + 3), *range(again, 6)]
    assert world.store._offsets[LOG][0] == 6


def test_a_silent_store_is_asked_less_and_less_often(world: World) -> None:
    world.put(0, 1)
    world.store.silent = 9
    world.sink().run()
    assert world.time.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert world.metrics.counted == ["refused"] * 9
    assert len(world.store.payloads()) == 1


def test_one_that_stays_silent_ends_the_sink_in_time(world: World) -> None:
    world.put(0, 1)
    world.store.silent = 1000
    with pytest.raises(StoreUnavailable):
        world.sink(give_up_s=60.0).run()
    assert 60.0 <= sum(world.time.slept) <= 65.0
    assert world.consumer.closed and not world.store._offsets[LOG]
    world.time.slept = []
    with pytest.raises(StoreUnavailable):
        world.sink().run()
    assert 120.0 <= sum(world.time.slept) <= 125.0, "unless told otherwise: less than Kafka's five minutes"


def test_a_sink_that_is_stopped_waits_for_no_store(world: World) -> None:
    world.put(0, 1)
    world.store.silent = 1000
    made = world.sink()
    world.metrics.refused = made.stop  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        made.run()
    assert world.time.slept == []


def test_what_is_no_tile_is_written_down_and_passed(world: World) -> None:
    world.put(0, 1)
    world.log.put(0, b"no tile", b"1")
    world.sink().run()
    ((bootstrap, prefix, (letter,)),) = world.letters
    assert (bootstrap, prefix, letter.offset, letter.timestamp) == ("b:1", "p-", 1, NOW)
    assert world.store._offsets[LOG][0] == 2
    world.log.put(1, b"no tile", b"1")
    world.sink().run()
    assert world.store._offsets[LOG] == {0: 2, 1: 1}
    assert (world.metrics.told[-1]["written"], world.metrics.told[-1]["broken"]) == (0, 1)


def message(error: KafkaError) -> Message:
    return Message(topic="p-feature-tiles", partition=0, offset=0, error=error)


@pytest.mark.parametrize("code", [KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT])
def test_errors_that_pass_are_waited_out(world: World, code: int) -> None:
    retriable = code == KafkaError._TRANSPORT
    world.prepare = lambda consumer: consumer.errors.append(message(KafkaError(code, "x", retriable=retriable)))
    world.put(0, 1)
    world.sink().run()
    assert len(world.store.payloads()) == 1 and world.letters == []


def test_one_that_stays_ends_the_sink(world: World) -> None:
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not for you")
    world.prepare = lambda consumer: consumer.errors.append(message(error))
    world.put(0, 1)
    with pytest.raises(StreamError, match=r"p-feature-tiles on b:1 cannot be read: .*not for you"):
        world.sink().run()
    assert world.consumer.closed


def test_offsets_that_kafka_does_not_take_are_counted(world: World) -> None:
    world.prepare = lambda consumer: setattr(consumer, "refuses_commits", True)
    world.put(0, 1)
    world.sink().run()
    assert set(world.metrics.counted) == {"uncommitted"}
    assert world.store._offsets[LOG] == {0: 1}


def test_progress_is_noted_twice_a_second_and_also_when_nothing_arrives(world: World) -> None:
    left = iter(range(100))

    def empty() -> None:
        if next(left) == 99:
            world.made.stop()

    world.prepare = lambda consumer: setattr(consumer, "on_empty", empty)
    world.put(0, 1)
    world.sink(until_now=False).run()
    assert [asynchronous for _, asynchronous in world.consumer.commits] == [True] * 4 + [False]
    assert world.store.settled == [{0: 1}] * 5


def test_partitions_given_up_are_noted_once_more_and_then_left_to_others(world: World) -> None:
    left = iter(range(3))

    def empty() -> None:
        number = next(left)
        if number == 0:
            world.log.put(1, b"user:9\tx@1s#a/1", b"1")
        if number == 1:
            assert world.consumer.on_revoke is not None
            world.consumer.on_revoke(world.consumer, [TopicPartition("p-feature-tiles", 0)])
        if number == 2:
            world.made.stop()

    world.prepare = lambda consumer: setattr(consumer, "on_empty", empty)
    world.put(0, 1)
    world.sink(until_now=False).run()
    assert world.consumer.commits[-2:] == [({0: 1, 1: 1}, False), ({1: 1}, False)]


@pytest.mark.parametrize("error", [StoreUnavailable("silent"), WritesLost("gone")])
def test_a_store_that_fails_while_partitions_go_is_left_to_whoever_takes_them(world: World, error: Exception) -> None:
    def empty() -> None:
        def fails(*_: Any) -> None:
            raise error

        world.store.commit_offsets = fails  # type: ignore[method-assign, assignment]
        assert world.consumer.on_revoke is not None
        places = [TopicPartition("p-feature-tiles", p) for p in (0, 1, 2)]
        world.consumer.on_revoke(world.consumer, places)
        world.made.stop()

    world.prepare = lambda consumer: setattr(consumer, "on_empty", empty)
    world.put(0, 1)
    world.sink(until_now=False).run()
    assert world.time.slept == []


def test_what_a_batch_was_is_told(world: World) -> None:
    world.put(0, 1, b"5")
    world.put(0, 2, b"5")
    world.sink().run()
    world.put(0, 1, b"3", at_ms=NOW - 2000)
    world.put(0, 3)
    world.log.put(0, f"user:1\tx@1s#a/{NOW - 1000 * SPEED_TTL_S - 1}".encode(), b"1")
    world.log.put(0, b"no tile", b"1")
    world.sink().run()
    told = world.metrics.told[-1]
    assert told.pop("seconds") == 0.0
    assert told == {
        "messages": 4,
        "written": 2,
        "left_out": 1,
        "broken": 1,
        "late": 1,
        "oldest_s": 2.0,
        "newest_event_s": 4.997,
    }


def test_what_waits_is_told_by_partition(world: World) -> None:
    for user in range(5):
        world.put(0, user)
    world.sink(batch_messages=2, commit_every_s=0.0).run()
    assert [lag[0] for lag in world.metrics.lags[:3]] == [3, 1, 0]


def test_a_leader_that_is_being_chosen_is_waited_for(world: World) -> None:
    world.put(0, 1)
    world.log.refusals = 3
    world.sink().run()
    assert world.time.slept == [0.1] * 3
    world.log.refusals = 10_000
    with pytest.raises(StreamError, match=r"p-feature-tiles has no offsets for partition \d: .*no leader"):
        world.sink().run()
    assert 30.0 <= sum(world.time.slept[3:]) <= 30.3


def test_a_sink_without_metrics_works_all_the_same(world: World) -> None:
    world.put(0, 1)
    TileSink(SinkOptions(bootstrap="b:1", topic_prefix="p-", until_now=True), world.store).run()
    assert len(world.store.payloads()) == 1
