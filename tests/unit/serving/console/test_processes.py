"""What processes tell each other of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import orjson

from lamina.monitoring import metrics
from lamina.store.protocol import Command
from serving.console.figures import added_traffic
from serving.console.processes import LIVES_S, MEMBERS, NEWEST, PREFIX, Processes
from serving.routes.health import Readiness
from tests.console_site import START_MS, payment


class MemoryRedis:
    """As much of Redis as is asked here; `now_s` is its clock. Where `is_away`, nothing is answered."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.members: set[str] = set()
        self.now_s, self.is_away = 0.0, False

    async def ask(self, asked: Iterable[Command]) -> list[object]:
        if self.is_away:
            raise TimeoutError
        return [self._one(*map(str, command)) for command in asked]

    async def close(self) -> None:
        """Nothing is open."""

    def _one(self, name: str, *given: str) -> object:
        if name == "SET":
            key, value, _, lives_ms = given
            self.values[key] = value.encode(), self.now_s + int(lives_ms) / 1000
        elif name == "DEL":
            self.values.pop(given[0], None)
        elif name in ("SADD", "SREM"):
            assert given[0] == MEMBERS
            (self.members.update if name == "SADD" else self.members.difference_update)(given[1:])
        elif name == "SMEMBERS":
            return {each.encode() for each in self.members}
        else:
            assert name == "MGET"
            held = (self.values.get(key, (b"", -1.0)) for key in given)
            return [value if until > self.now_s else None for value, until in held]
        return 1


async def ready() -> Readiness:
    return Readiness(status="degraded", dependencies={})


def newest(*numbers: int) -> Mapping[str, Sequence[bytes]]:
    found = (orjson.loads(payment(n).to_json()) | {"served_at": START_MS + n} for n in numbers)
    return {"fraud": [orjson.dumps(each) for each in found]}


def process(redis: MemoryRedis | None, name: str, *numbers: int) -> Processes:
    return Processes(redis, name, lambda: newest(*numbers), lambda: START_MS)


def tell(*processes: Processes) -> None:
    async def run() -> None:
        for each in processes:
            await each.tell(ready)

    asyncio.run(run())


def names(of: Processes) -> list[tuple[str, str]]:
    return [(told.name, told.status) for told in of.all("ready").processes]


def test_each_shows_all() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one", 1, 3), process(redis, "two", 2)
    metrics.PREDICTIONS.labels(system="told", model_version="7", status="ok").inc(5)
    tell(one, two, one)
    assert names(one) == [("one", "ready"), ("two", "degraded")]
    assert names(two) == [("one", "degraded"), ("two", "ready")]
    for each in (one, two):
        everyone = each.all("ready")
        (row,) = added_traffic(t for told in everyone.processes for t in told.traffic if t.system == "told")
        assert row.answers == 10 and everyone.problem is None
        assert [shown["request_id"] for shown in everyone.answers("fraud")] == ["r-3", "r-2", "r-1"]
        assert [len(times.times_ms) for told in everyone.processes for times in told.times] == [2, 1]
    assert one.all("ready").answers("activity") == []


def test_of_many_answers_the_newest_are_shown() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one", *range(1, 21)), process(redis, "two", *range(11, 41, 2))
    tell(one, two, one)
    shown = [each["request_id"] for each in one.all("ready").answers("fraud")]
    assert len(shown) == NEWEST and shown[:3] == ["r-39", "r-37", "r-35"]


def test_who_tells_no_more_is_forgotten() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one"), process(redis, "two")
    tell(one, two)
    redis.now_s = LIVES_S - 0.1
    tell(one)
    assert len(names(one)) == 2 and len(redis.members) == 2
    redis.now_s = LIVES_S
    tell(one)
    assert len(names(one)) == 1 and len(redis.members) == 1
    tell(two, one)
    assert len(names(one)) == 2, "it was only slow"


def test_who_ends_is_gone_at_once() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one"), process(redis, "two")
    tell(one, two)
    asyncio.run(two.close())
    assert len(redis.values) == len(redis.members) == 1
    tell(one)
    assert names(one) == [("one", "ready")]
    redis.is_away = True
    asyncio.run(one.close())


def test_without_redis_a_process_shows_itself_and_says_so() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one"), process(redis, "two")
    tell(two, one)
    redis.is_away = True
    tell(one)
    assert names(one) == [("one", "ready")]
    assert one.all("ready").problem == "Redis does not answer (TimeoutError): of this process alone."
    redis.is_away = False
    tell(one)
    assert len(names(one)) == 2 and one.all("ready").problem is None


def test_what_another_version_tells_is_left_out_and_said() -> None:
    redis = MemoryRedis()
    one, two = process(redis, "one"), process(redis, "two")
    tell(two)
    redis.members.add(f"{PREFIX}new")
    redis.values[f"{PREFIX}new"] = b'{"name": "three"}', 9.0
    tell(one)
    assert names(one) == [("one", "ready"), ("two", "degraded")]
    assert one.all("ready").problem == "Not counted, as they are of another version: 1."


def test_who_is_alone_tells_nothing() -> None:
    alone = process(None, "one", 1)
    tell(alone)
    asyncio.run(alone.close())
    assert names(alone) == [("one", "ready")] and len(alone.all("ready").answers("fraud")) == 1
