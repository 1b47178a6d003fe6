"""Tiles that Spark builds and publishes, read by the online reader, answer as the slow reference does."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.tiles import as_layered, batch_writes, speed_writes
from jobs.spark import batch_features, publish
from jobs.spark.tiles import first_ms
from lamina.clock import DAY_MS, day_of
from lamina.definitions import load
from lamina.definitions.fraud import FRAUD_REPORTS
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan, TileSpec, make_plan
from lamina.semantics.reference import evaluate_all
from lamina.store.blobs import decode_batch
from lamina.store.memory import MemoryStore
from lamina.store.protocol import BatchWrite, ReadKey
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore
from lamina.store.tiles import TileColumns
from tests.parity import activity
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate
from tests.parity.lake import TIMES, Arrivals, write_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FRAUD_PLAN, ACTIVITY_PLAN = make_plan(load("fraud")), make_plan(load("activity"))
DAY = day_of(START_MS) + timedelta(days=8)
THROUGH_MS = START_MS + 9 * DAY_MS


def visible(arrived: dict[str, Arrivals], day: date, batch_end_ms: int, until_ms: int) -> dict[str, list[EventRow]]:
    """What the layers hold: to `batch_end_ms` what had arrived by `day`, from there on everything before `until_ms`."""
    times = TIMES | {FRAUD_REPORTS.name: FRAUD_REPORTS.timestamp}
    return {
        name: [
            e
            for d, e in events
            if (e[times[name]] < batch_end_ms and d <= day) or batch_end_ms <= e[times[name]] < until_ms
        ]
        for name, events in arrived.items()
    }


def published(redis_url: str, writes: list[BatchWrite]) -> list[BatchWrite]:
    """What Redis holds of the entities and tile specs of `writes`."""
    store = RedisStore(redis_url)
    named = [w.key.split(":", 1) for w in writes]
    keys = [ReadKey(entity, id_, tuple(w.blobs), False) for (entity, id_), w in zip(named, writes, strict=True)]
    replies = store.read(keys).replies
    return [BatchWrite(w.key, dict(r.batch)) for w, r in zip(writes, replies, strict=True)]


def young_enough(tile_spec: TileSpec, tiles: TileColumns) -> TileColumns:
    """The tiles that a question from `THROUGH_MS` on can reach; the batch layer keeps no older ones."""
    i = bisect_left(tiles.starts, first_ms(tile_spec, THROUGH_MS))
    return TileColumns(
        list(tiles.starts[i:]),
        tiles.n[i:],
        [column[i:] for column in tiles.numeric],
        [column[i:] for column in tiles.texts],
        [column[i:] for column in tiles.sets],
    )


@pytest.mark.parametrize(("plan", "seed"), [(FRAUD_PLAN, 0), (ACTIVITY_PLAN, 1), (make_plan(EVERYTHING), 2)])
def test_published_tiles_equal_the_slow_ones(
    spark: SparkSession, clean_redis: str, tmp_path: Path, plan: Plan, seed: int
) -> None:
    generated = (activity.generate if plan is ACTIVITY_PLAN else generate)(seed)
    arrived = write_lake(tmp_path, generated)
    batch_features.build(spark, str(tmp_path), plan, DAY)
    publish.publish(spark, str(tmp_path), plan, DAY, clean_redis)

    held = visible(arrived, DAY, THROUGH_MS, THROUGH_MS)
    expected = batch_writes(plan, held, THROUGH_MS)
    compared = 0
    for slow, fast in zip(expected, published(clean_redis, expected), strict=True):
        for tile_spec in plan.tile_specs:
            if tile_spec.entity.name != slow.key.split(":")[0] or tile_spec.id not in slow.blobs:
                continue
            want = young_enough(tile_spec, decode_batch(slow.blobs[tile_spec.id])[1])
            if not fast.blobs:  # an entity without any tile that can still be asked for is not published
                assert not want.starts
                continue
            through, found = decode_batch(fast.blobs[tile_spec.id])
            assert through == THROUGH_MS
            compared += len(want.starts)
            assert list(found.starts) == list(want.starts)
            assert list(found.n) == list(want.n)
            np.testing.assert_allclose(_matrix(found.numeric), _matrix(want.numeric), rtol=1e-9, atol=1e-9)
            assert _numbers_of(found.texts) == _numbers_of(want.texts)
            assert _sets_of(tile_spec, found.sets) == _sets_of(tile_spec, want.sets)
    assert compared > 100

    reader = Reader(plan)
    # What the batch layer alone keeps is delayed by a day, and so right for a day.
    end = THROUGH_MS + DAY_MS
    mine = generated.arrived[plan.features.request.name]
    requests = [e for e in mine if THROUGH_MS <= int(str(e["timestamp"])) < end][::4]
    assert len(requests) >= 5
    for request in requests:
        at_ms = int(str(request["timestamp"]))
        known = visible(arrived, DAY, THROUGH_MS, at_ms)
        snapshot = RedisStore(clean_redis).read(reader.keys(request))
        speed = MemoryStore()
        speed.write_tiles(speed_writes(plan.speed, known, THROUGH_MS))
        for reply, other in zip(snapshot.replies, speed.read(reader.keys(request)).replies, strict=True):
            reply.speed = other.speed
        vector = reader.vector(snapshot, request, at_ms)
        own = plan.features.request.name
        layered = as_layered(plan.features, known, THROUGH_MS)
        want_values = evaluate_all(plan.features, {**layered, own: [*known[own], request]}, request, at_ms)
        assert not differences(want_values, vector.values), request
        assert set(vector.through.values()) <= {THROUGH_MS}


def _matrix(columns: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([list(c) for c in columns], np.float64)  # type: ignore[attr-defined]


def _sets_of(tile_spec: TileSpec, sets: object) -> list[object]:
    """Hashes as they are, texts of last_k as `_numbers_of`."""
    pairs = zip(tile_spec.keyed, sets, strict=True)  # type: ignore[call-overload]
    return [_numbers_of(s) if state.kind == "last_k" else [list(tile) for tile in s] for state, s in pairs]


def _numbers_of(texts: object) -> list[list[tuple[str, str, float | str] | None]]:
    """Texts as (time, id, value), a number as such: engines write one number in more than one way."""
    found = []
    for column in texts:  # type: ignore[attr-defined]
        parts = [None if t is None else t.split("\x1e") for t in column]
        found.append([None if p is None else (p[0], p[1], _number(p[2])) for p in parts])
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
