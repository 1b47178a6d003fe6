"""What a store answers before a wrong day was published, while that hides it, and after it was taken back."""

from __future__ import annotations

import pytest

from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.definitions import load
from lamina.semantics.plan import make_plan
from lamina.store.memory import MemoryStore
from lamina.store.protocol import BatchWrite, OnlineStore
from lamina.store.reader import FeatureVector, Reader
from lamina.store.redis import RedisStore
from tests.parity.generated import START_MS, generate

PLAN = make_plan(load("fraud"))
THROUGH_MS = START_MS + 9 * DAY_MS
WRONG_MS = THROUGH_MS + 20 * DAY_MS
AT_MS = THROUGH_MS + DAY_MS // 2


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest) -> OnlineStore:
    return MemoryStore() if request.param == "memory" else RedisStore(request.getfixturevalue("clean_redis"))


def publish(store: OnlineStore, writes: list[BatchWrite], batch_end_ms: int) -> None:
    store.publish(writes)
    for entity in PLAN.features.entities:
        store.advance_watermark(entity.name, batch_end_ms)


def test_a_day_that_was_wrong_is_as_if_it_had_not_been(store: OnlineStore) -> None:
    known = [e for e in generate(5, n=300).transactions if int(str(e["timestamp"])) < AT_MS - 3_600_000]
    last = known[-1]
    more = [
        {**last, "transaction_id": f"more-{i}", "user_id": user, "timestamp": AT_MS - 60_000 * (i + 1)}
        for user in (last["user_id"], "u-new")
        for i in range(20)
    ]
    batch, arrived = batch_writes(PLAN, {"transactions": known}, THROUGH_MS), {"transactions": [*known, *more]}
    tiles = speed_writes(PLAN.speed, arrived, THROUGH_MS)
    requests = [{**last, "transaction_id": f"now-{u}", "user_id": u} for u in (last["user_id"], "u-new", "u-late")]

    def served() -> list[FeatureVector]:
        return [Reader(PLAN).read(store, request, AT_MS) for request in requests]

    publish(store, batch, THROUGH_MS)
    store.write_tiles(tiles)
    before = served()
    assert float(str(before[0].values["txn_count_1h"])) > 20

    # As of the wrong day: two of the payments had arrived, and a user was new.
    late = [{**e, "user_id": "u-late", "transaction_id": f"late-{i}"} for i, e in enumerate(more[:2])]
    publish(store, batch_writes(PLAN, {"transactions": [*known, *more[:2], *late]}, WRONG_MS), WRONG_MS)
    hidden = served()
    assert float(str(hidden[0].values["txn_count_1h"])) < 10
    publish(store, batch, THROUGH_MS)
    assert served() == hidden, "an older day does not lead back"

    store.write_tiles(tiles)
    assert served() == hidden, "readers ignore them until the blob goes"
    store.publish([BatchWrite(w.key, w.blobs, w.speed, takes_back=True) for w in batch])
    for entity in PLAN.features.entities:
        store.take_back(entity.name, [t.id for t in PLAN.of_entity(entity)], THROUGH_MS)
    assert served() == before
