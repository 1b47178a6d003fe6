"""The recount itself: it finds nothing where nothing is wrong, and every kind of harm where it is done."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from benchmarks.fire.recount import Difference, Log, compare_features, compare_tiles, expected_tiles
from benchmarks.tiles import speed_writes
from lamina.definitions.fraud import FEATURES
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.store.redis import RedisStore
from lamina.store.tiles import event_count, tile_field
from tests.parity.generated import generate

pytestmark = pytest.mark.services
PLAN = make_plan(FEATURES)
FINEST = PLAN.speed[0]


@pytest.fixture(scope="module")
def log() -> Log:
    events: defaultdict[tuple[str, str], list[EventRow]] = defaultdict(list)
    generated = generate(5, n=160).transactions
    # In the last millisecond of its tile, where most moments lie that are asked for.
    at_the_end = {
        **generated[0],
        "transaction_id": "last",
        "timestamp": int(str(generated[0]["timestamp"])) // 1000 * 1000 + 999,
    }
    for event in [*generated, at_the_end]:
        events["transactions", f"user:{event['user_id']}"].append(event)
    return Log(events, {}, set(), 0)


@pytest.fixture
def filled(log: Log, clean_redis: str) -> Any:
    everything = [event for events in log.events.values() for event in events]
    RedisStore(clean_redis).write_tiles(speed_writes(PLAN.speed, {"transactions": everything, "fraud_labels": []}, 0))
    return Redis.from_url(clean_redis)


def recount(log: Log, url: str) -> Difference:
    found = compare_tiles(PLAN, expected_tiles(PLAN, log), url)
    compare_features(PLAN, log, url, found)
    return found


def a_tile(redis: Any) -> tuple[str, bytes, bytes]:
    fields = redis.hgetall("user:u1")
    name = next(n for n in sorted(fields) if n.startswith(FINEST.id.encode()) and n.count(b"/") == 1)
    return "user:u1", name, fields[name]


def test_what_is_right_is_found_right(log: Log, filled: Any, clean_redis: str) -> None:
    found = recount(log, clean_redis)
    assert found.examples == []
    assert (found.total, found.lost, found.doubled) == (0, 0, 0)
    assert found.tiles == sum(map(len, expected_tiles(PLAN, log).values())) > 100
    assert found.features > 100


def _lose(redis: Any) -> None:
    key, name, _ = a_tile(redis)
    redis.hdel(key, name)


def _double(redis: Any) -> None:
    key, name, payload = a_tile(redis)
    redis.hset(key, name, b"%d%s" % (event_count(payload) + 1, payload[payload.index(b"\x1f") :]))


def _invent(redis: Any) -> None:
    redis.hset("user:nobody", tile_field(FINEST, 1_533_686_400_000), "1")


@pytest.mark.parametrize(
    ("harm", "lost", "doubled"), [(_lose, True, False), (_double, False, True), (_invent, False, True)]
)
def test_every_harm_to_a_tile_is_found(
    log: Log, filled: Any, clean_redis: str, harm: Callable[[Any], None], lost: bool, doubled: bool
) -> None:
    harm(filled)
    found = compare_tiles(PLAN, expected_tiles(PLAN, log), clean_redis)
    assert (found.lost > 0, found.doubled > 0, found.tiles_wrong) == (lost, doubled, 1)
    assert len(found.examples) == 1


def test_a_changed_value_is_found(log: Log, filled: Any, clean_redis: str) -> None:
    for key in filled.scan_iter("user:*"):
        for name, payload in filled.hgetall(key).items():
            if b"\x1f" in payload:
                filled.hset(key, name, re.sub(rb"(?<=\x1f)(-?)(?=\d)", rb"\g<1>9", payload, count=2))
    found = recount(log, clean_redis)
    assert found.tiles_wrong == 0
    assert found.features_wrong > 0


def test_duplicates_are_expected_once(log: Log) -> None:
    ids = Counter(str(e["transaction_id"]) for events in log.events.values() for e in events)
    assert max(ids.values()) > 1
    expected = expected_tiles(PLAN, log)
    finest = sum(n for tiles in expected.values() for name, n in tiles.items() if name.startswith(FINEST.id.encode()))
    assert finest == len(ids)
