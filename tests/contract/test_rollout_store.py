"""What a rollout notes in a real Redis and takes out of it: the tile specs that were named, and nothing else."""

from __future__ import annotations

import pytest
from redis import Redis

from lamina.rollout.generation import Generation
from lamina.settings import load_settings
from lamina.store.filled import KEY, Filled, Until
from lamina.store.protocol import BatchWrite, TileWrite, WriteSequence
from lamina.store.redis import RedisStore
from lamina.store.redis_removal import Removal
from lamina.streams.store import store_for_tiles
from tests.unit.rollout.sets import NEW, OLD

pytestmark = pytest.mark.services
HOUR_MS = 3_600_000
OLDER, NEWER = Generation(OLD).plan, Generation(NEW).plan
(OLD_SPEED,), (NEW_SPEED,) = OLDER.speed, NEWER.speed


def test_what_is_filled_is_noted(clean_redis: str) -> None:
    filled, (spec, *_) = Filled(clean_redis), OLDER.tile_specs
    assert filled.read() == {}
    filled.note([spec], 2000)
    filled.note([spec], 1000)
    assert filled.read() == {spec.key: Until(2000, spec.reach)}
    filled.note([spec], 1000, takes_back=True)
    assert filled.read() == {spec.key: Until(1000, spec.reach)}
    filled.forget([spec.key, "another"])
    filled.forget([])
    assert filled.read() == {}


def test_the_note_is_lost_with_the_data(clean_redis: str) -> None:
    Filled(clean_redis).note(OLDER.tile_specs, 2000)
    Redis.from_url(clean_redis).flushall()
    assert Filled(clean_redis).read() == {}


def tiles(count: int) -> list[TileWrite]:
    """Of one user, `count` of each generation."""
    return [
        TileWrite("user:7", f"{spec.id}/{HOUR_MS + 60_000 * i}", b"1\x1f1\x1f2.0")
        for spec in (OLD_SPEED, NEW_SPEED)
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [3, 300])
def test_old_tiles_go_and_new_ones_stay(clean_redis: str, count: int) -> None:
    """Also those of a key that is folded, with all that is below it."""
    client = Redis.from_url(clean_redis, decode_responses=True)
    store = RedisStore(clean_redis)
    store.write_tiles(tiles(count))
    store.write_tiles([TileWrite("user:8", f"{OLD_SPEED.id}/0", b"1")])
    Removal(clean_redis).speed("user", [OLD_SPEED.id])
    names = [f"{key!s} {name!s}" for key in client.scan_iter("user*") for name in client.hkeys(key)]
    assert [name for name in names if OLD_SPEED.id in name] == []
    left = [key for key in client.scan_iter("user_*") if OLD_SPEED.id in key]
    assert left == []
    kept = [name for name in names if f"{NEW_SPEED.id}/" in name and name.count("/") >= 1 and "~" not in name]
    assert len(kept) >= count
    assert client.exists("user:8") == 0


def test_old_blobs_go_and_new_ones_stay(clean_redis: str) -> None:
    store = RedisStore(clean_redis)
    blob = b"LMT3" + b"%013d" % 2000
    for user in range(120):
        store.publish([BatchWrite(f"user:{user}", {"old#1": blob, "new#2": blob})])
    assert Removal(clean_redis).batch("user", ["old#1", "none"]) == 120
    assert Removal(clean_redis).batch("user", []) == 0
    client = Redis.from_url(clean_redis, decode_responses=True)
    assert {name for key in client.scan_iter("user_batch:*") for name in client.hkeys(key)} == {"new#2"}


def test_how_far_a_log_is_moved_can_be_asked(clean_redis: str) -> None:
    store = store_for_tiles(load_settings(redis_url=clean_redis))
    assert store.offsets("log") == {}
    store.identify("log", "an id")
    store.begin("log", "writer")
    store.commit_offsets("log", WriteSequence("writer", 0), {0: 12, 3: 7})
    assert store.offsets("log") == {0: 12, 3: 7}
    assert KEY not in Redis.from_url(clean_redis, decode_responses=True).keys()
