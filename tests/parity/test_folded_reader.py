"""Folded hours answer like their tiles: at every time, whatever came late, in every kind of aggregate."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import pytest
from redis import Redis

import lamina.store.redis
from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.store.folded import Folder, is_whole
from lamina.store.memory import MemoryStore
from lamina.store.protocol import ReadKey, TileWrite
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore
from lamina.store.redis_reader import AsyncRedisReader
from lamina.store.redis_scripts import MOST_FIELDS, WRITE_TILES
from tests.parity import activity
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate

ACTIVITY = load("activity")
TIMES = ("timestamp", "transaction_timestamp")
DAY_BEGINS_MS = START_MS + 9 * DAY_MS
BEGIN_MS = DAY_BEGINS_MS + 17 * 3_600_000 + 1_317_000
LIMIT = "MOST = 3600000, 60000, {}\n"

pytestmark = pytest.mark.services


def fold_from(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hashes be folded from a few fields on, so that most, or a part, of what is generated is."""
    usual, sooner = LIMIT.format(MOST_FIELDS), LIMIT.format(most)
    assert usual in WRITE_TILES
    monkeypatch.setattr(lamina.store.redis, "WRITE_TILES", WRITE_TILES.replace(usual, sooner))


def dense(features: FeatureSet, arrived: Mapping[str, Sequence[EventRow]]) -> dict[str, list[EventRow]]:
    """Twelve days in seven hours, ending half an hour after a midnight, and no longer all in bursts."""

    def moved(event: EventRow) -> EventRow:
        number = crc32(str(event[features.request.id]).encode())
        later = number % 500_000 if number % 4 else 0  # some ties stay
        return {**event, **{t: BEGIN_MS + (int(str(event[t])) - START_MS) // 40 + later for t in TIMES if t in event}}

    return {source: [moved(event) for event in events] for source, events in arrived.items()}


def write_as_it_comes(stores: Sequence[RedisStore | MemoryStore], writes: Sequence[Sequence[TileWrite]]) -> None:
    """Each state of the tiles after the other, some repeated and some late, in any order."""
    rng, known = random.Random(3), dict[tuple[str, str], bytes]()
    for state in writes:
        old = [TileWrite(*name, payload) for name, payload in known.items()]
        new = [w for w in state if known.get((w.key, w.field)) != w.payload]
        now = new + rng.sample(old, len(old) // 7)
        rng.shuffle(now)
        for store in stores:
            store.write_tiles(now)
        known |= {(w.key, w.field): w.payload for w in new}


@pytest.mark.parametrize(("features", "seed"), [(load("fraud"), 0), (EVERYTHING, 2), (ACTIVITY, 3)])
@pytest.mark.parametrize(("most", "through_hour"), [(2, 0), (2, 19.4), (20, 21)])
def test_folded_hours_answer_like_their_tiles(
    clean_redis: str,
    features: FeatureSet,
    seed: int,
    most: int,
    through_hour: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fold_from(most, monkeypatch)
    plan, rng = make_plan(features), random.Random(seed)
    events = (activity.generate if features is ACTIVITY else generate)(seed, n=500, users=2)
    arrived = dense(features, events.arrived)
    own = arrived[features.request.name]
    redis, memory = RedisStore(clean_redis, folder=Folder(plan.speed)), MemoryStore()
    ends = [len(own) * i // 6 for i in range(1, 7)]
    states = [
        speed_writes(plan.speed, {name: events[: len(events) * end // len(own)] for name, events in arrived.items()}, 0)
        for end in ends
    ]
    write_as_it_comes([redis, memory], states)
    if through_hour:
        # Of an hour in which the batch layer ends all tiles stay, and an entity whose labels were all withdrawn has no
        # blob that hides them: beside labels it ends with an hour.
        ends_at = int(through_hour) if any(v.source.revisions for v in features.views) else through_hour
        through = DAY_BEGINS_MS + int(ends_at * 3_600_000)
        for store in (redis, memory):
            store.publish(batch_writes(plan, arrived, through))
    client = Redis.from_url(clean_redis)
    trees: dict[bytes, dict[bytes, bytes]] = {
        key: client.hgetall(key)  # type: ignore[misc]
        for key in client.keys("*:*")
        if client.type(key) == b"hash"
    }
    client.close()
    minutes = [value for key, fields in trees.items() if b"_hour:" in key for value in fields.values()]
    hours = [value for fields in trees.values() for name, value in fields.items() if name.startswith(b"~")]
    assert sum(map(is_whole, minutes)) > 20
    assert sum(map(is_whole, hours)) > 2
    reader = Reader(plan)
    first, last = int(str(own[0]["timestamp"])), int(str(own[-1]["timestamp"]))
    times = [rng.randrange(first, last + 7_200_000) for _ in range(40)] + [last, last + 999, last - last % 60_000]
    for at_ms in times:
        request = rng.choice(own)
        want, found = reader.read(memory, request, at_ms), reader.read(redis, request, at_ms)
        assert not differences(want.values, found.values), at_ms
        assert (found.seen, found.through, found.unknown) == (want.seen, want.through, want.unknown)
    requests = [rng.choice(own) for _ in times]
    together = zip(reader.read_many(memory, requests, times), reader.read_many(redis, requests, times), strict=True)
    for want, found in together:
        assert not differences(want.values, found.values)

    async def at_once(keys: Sequence[ReadKey]) -> object:
        other = AsyncRedisReader(clean_redis, timeout_ms=5000)
        try:
            return await other.read(keys)
        finally:
            await other.close()

    keys = reader.keys(requests[0], times[0])
    assert asyncio.run(at_once(keys)) == redis.read(keys)
    # Who does not say what the answer is for gets every tile.
    for key in keys:
        bare = replace(key, asked=None)
        every, held = memory.read([bare]).replies[0].speed, redis.read([bare]).replies[0].speed
        if through_hour != 19.4:  # of an hour that the batch layer ends in all tiles stay
            assert held == every
        else:
            assert every.items() <= held.items()
