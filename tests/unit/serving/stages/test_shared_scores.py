from __future__ import annotations

import asyncio
import random

import pytest
from redis import Redis

from lamina.monitoring import metrics
from serving.stages.cache import Answer, PredictionCache
from serving.stages.shared_scores import RedisScores


def count(outcome: str) -> float:
    return float(metrics.PREDICTION_CACHE.labels("redis", outcome)._value.get())


def test_without_redis_predictions_go_on_and_it_is_counted() -> None:
    async def run() -> None:
        shared = RedisScores("redis://127.0.0.1:1/0", timeout_ms=1000, ttl_s=60, rng=random.Random(1))
        cache = PredictionCache(shared, entries=10)
        before, skipped = count("error"), count("skipped")

        async def score(places: list[int]) -> list[float]:
            return [0.5] * len(places)

        assert await cache.scores(["a", "b"], score) == [Answer(0.5, "model")] * 2  # type: ignore[arg-type]
        await asyncio.gather(*cache._tasks)
        await shared.put({"a": 0.5})
        # Two reads, and what was scored, tried once by the cache and once here.
        assert count("error") - before == 5
        shared.breaker.is_open, shared.breaker._next_try_s = True, float("inf")
        assert await shared.get(["c"]) == [None]
        assert count("skipped") - skipped == 1
        await shared.close()

    asyncio.run(run())


@pytest.mark.services
def test_redis_holds_so_many_predictions_and_never_one_for_another(clean_redis: str) -> None:
    """Other keys than places: what is held is that of its own key, or nothing."""

    async def run() -> None:
        shared = RedisScores(clean_redis, timeout_ms=5000, ttl_s=60, rng=random.Random(1), entries=20)
        client = Redis.from_url(clean_redis)
        keys = [f"prediction:a model's {i}:1:{i:x}" for i in range(300)]
        for i, key in enumerate(keys):
            await shared.put({key: i / 7})
        assert 10 < client.dbsize() <= 20
        assert all(50_000 < client.pttl(key) <= 60_000 for key in client.keys("*"))
        found = await shared.get(keys)
        known = {i: score for i, score in enumerate(found) if score is not None}
        assert known == {i: i / 7 for i in known}
        assert len(known) == client.dbsize()
        assert found[-1] == 299 / 7
        client.set("prediction:3", "0.5")  # what another version has left there
        await shared.get(keys)
        client.close()
        await shared.close()

    asyncio.run(run())
